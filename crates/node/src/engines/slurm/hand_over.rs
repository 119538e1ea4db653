// SPDX-License-Identifier: Apache-2.0
//! Handing runs over to `sbatch`, those of one account together where several wait: one log-in for many.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use super::{
    Inner, lock,
    queue::{self, Refused},
    script::{self, Submission},
    site_commands::{Said, closed, words_of},
};
use crate::engines::{EngineError, RunId};

/// The most runs that one command hands over; they go one after the other.
const TOGETHER_MAX: usize = 32;
/// No log-in is made for fewer than these while others wait: it costs the machine as much as some submissions.
const TOGETHER_MIN: usize = 16;
/// How many commands hand over runs of one account at once; with three, two cores stood idle for a twentieth of the time. What waits
/// meanwhile goes together with the next one, so that the machine's time goes into `sbatch` and not into log-ins, and no account takes
/// the places of all others.
const ABREAST: usize = 4;
const DOING: &str = "submit a job";

/// The runs of one account that are to be handed over.
#[derive(Debug)]
pub(super) struct Queue {
    turns: Arc<Semaphore>,
    waiting: Vec<Waiting>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(ABREAST)), waiting: Vec::new() }
    }
}

/// A run that waits for its turn, and who waits for its answer.
#[derive(Debug)]
struct Waiting {
    submission: Submission,
    answer: oneshot::Sender<Result<Answered, String>>,
}

/// What became of a run that was handed over.
#[derive(Debug)]
pub(super) enum Answered {
    /// Slurm has it, and the records say so.
    Taken {
        /// Under which number.
        slurm_id: u64,
        /// Whether it is to stand still, or to go on after it was, as the records had it then.
        suspension: Option<bool>,
    },
    /// What `sbatch` said instead.
    Not(Said),
}

impl Inner {
    /// What `sbatch` said to one run.
    ///
    /// # Errors
    /// Nobody knows: whether it was taken is looked up before the next attempt.
    pub(super) async fn sbatch(&self, submission: Submission) -> Result<Answered, EngineError> {
        let account = submission.account.unix.clone();
        let (answer, mine) = oneshot::channel();
        let turns = {
            let mut queues = lock(&self.waiting);
            let queue = queues.entry(account.clone()).or_default();
            queue.waiting.push(Waiting { submission, answer });
            Arc::clone(&queue.turns)
        };
        self.hand_over_waiting(&account, &turns).await?;
        match mine.await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(said)) => Err(EngineError::Site { doing: DOING, said }),
            Err(_) => Err(EngineError::Site { doing: DOING, said: "the command was given up".to_owned() }),
        }
    }
}

impl Inner {
    /// Hands over what waits of an account, once it is its turn; nothing, where others have taken all of it along.
    async fn hand_over_waiting(&self, account: &str, turns: &Semaphore) -> Result<(), EngineError> {
        let _turn = turns.acquire().await.map_err(|_| closed(DOING))?;
        if lock(&self.waiting).get(account).is_none_or(|queue| queue.waiting.is_empty()) {
            return Ok(());
        }
        let place = self.commands.place(DOING).await?;
        let together: Vec<Waiting> = match lock(&self.waiting).get_mut(account) {
            // No more than its share: else the others have nothing to do while the last ones go one after the other.
            Some(queue) => {
                let share = queue.waiting.len().div_ceil(ABREAST).clamp(TOGETHER_MIN, TOGETHER_MAX);
                queue.waiting.drain(..share.min(queue.waiting.len())).collect()
            }
            None => Vec::new(),
        };
        if together.is_empty() {
            return Ok(());
        }
        let submissions: Vec<Submission> =
            together.iter().map(|waiting| waiting.submission.clone()).collect();
        let script = script::submissions(&self.settings, account, &submissions);
        let said = self.commands.script_in(&place, account, DOING, &script).await;
        self.answer_all(together, said).await;
        Ok(())
    }

    /// Gives each run its part of what was said, once the numbers of all that Slurm has taken are written, with one write.
    async fn answer_all(&self, together: Vec<Waiting>, said: Result<Said, EngineError>) {
        let (mut answers, otherwise) = read_answers(said);
        let taken: Vec<(RunId, u64)> =
            answers.iter().filter_map(|(run, said)| Some((*run, number(said)?))).collect();
        let noted = match taken.first() {
            Some(&(any, _)) => {
                let (runs, now) = (taken.clone(), Timestamp::now());
                self.records(move |records, _| records.submitted(&runs, now), any).await
            }
            None => Ok(HashMap::new()),
        };
        let noted = noted.map_err(|error| error.to_string());
        let taken: HashMap<RunId, u64> = taken.into_iter().collect();
        for Waiting { submission, answer } in together {
            let run = submission.job.id;
            let answered = match (taken.get(&run), &noted, answers.remove(&run)) {
                (Some(&slurm_id), Ok(noted), _) => {
                    Ok(Answered::Taken { slurm_id, suspension: noted.get(&run).copied().flatten() })
                }
                // The intention is left, and with it the look for the run.
                (Some(_), Err(unwritten), _) => Err(unwritten.clone()),
                (None, _, Some(said)) => Ok(Answered::Not(said)),
                (None, _, None) => Err(otherwise.clone()),
            };
            // Who does not wait any more looks for the run when it comes again.
            let _ = answer.send(answered);
        }
    }
}

/// The answer to each run, and what is said of one without: it may or may not have been taken.
fn read_answers(said: Result<Said, EngineError>) -> (HashMap<RunId, Said>, String) {
    let answers = match &said {
        Ok(said) => parts(&said.text()),
        Err(_) => HashMap::new(),
    };
    let otherwise = match said {
        Ok(said) if said.code == Some(0) => "the answer is not whole".to_owned(),
        // What stopped the whole command is no word of Slurm about any one run.
        Ok(said) => match queue::refused(&said.err) {
            Refused::NotNow(reason) => reason,
            Refused::Never(_) | Refused::Unknown(_) => words_of(&said),
        },
        Err(EngineError::Site { said, .. }) => said,
        Err(error) => error.to_string(),
    };
    (answers, otherwise)
}

/// The number under which Slurm has a run. `--parsable` prints it, and with several clusters its cluster after a semicolon.
fn number(said: &Said) -> Option<u64> {
    let text = said.text();
    let number = text.lines().last()?.split(';').next()?.trim().parse().ok();
    number.filter(|_| said.code == Some(0))
}

/// The answer to each run: the number on standard output, everything else as what was said about it.
fn parts(text: &str) -> HashMap<RunId, Said> {
    let mut answers = HashMap::new();
    let mut under_way: Option<(RunId, Vec<&str>)> = None;
    for line in text.lines() {
        if let Some(run) = line.strip_prefix("begin ").and_then(|run| run.parse().ok()) {
            under_way = Some((run, Vec::new()));
            continue;
        }
        let end = line.strip_prefix("end ").and_then(|rest| rest.split_once(' '));
        let ended = end.and_then(|(run, code)| Some((run.parse::<RunId>().ok()?, code.parse::<i32>().ok()?)));
        match (&mut under_way, ended) {
            (Some((run, lines)), Some((ended, code))) if *run == ended => {
                let is_number =
                    |line: &&&str| line.split(';').next().is_some_and(|id| id.trim().parse::<u64>().is_ok());
                let out = lines.iter().find(is_number).map_or_else(Vec::new, |line| line.as_bytes().to_vec());
                let err: Vec<&str> = lines.iter().filter(|line| !is_number(line)).copied().collect();
                answers.insert(ended, Said { code: Some(code), out, err: err.join("\n") });
                under_way = None;
            }
            (Some((_, lines)), _) => lines.push(line),
            (None, _) => {}
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_gets_its_own_answer_and_a_lost_one_none() {
        let id = |last: u8| RunId::from(sta_protocol::ids::JobId::new(1, [last; 10]));
        let text = format!(
            "begin {a}\n12\nend {a} 0\nbegin {b}\nsbatch: error: Batch job submission failed: Invalid partition name specified\nend {b} 1\nbegin {c}\n13;juelich\n",
            a = id(1),
            b = id(2),
            c = id(3)
        );
        let answers = parts(&text);
        assert_eq!((answers[&id(1)].code, answers[&id(1)].text().as_str()), (Some(0), "12"));
        assert_eq!(answers[&id(2)].code, Some(1));
        assert!(answers[&id(2)].err.contains("Invalid partition"));
        assert!(!answers.contains_key(&id(3)), "its end was not seen");
    }
}
