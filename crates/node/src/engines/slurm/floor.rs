// SPDX-License-Identifier: Apache-2.0
//! How full the cluster is, node by node, with all of its load, when jobs of ours wait for room: one `sinfo` and one `squeue`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use sta_protocol::treaty::Resources;

use super::{
    Inner, Live, lock,
    queue::{State, hosts},
    script::COMMENT,
    settings::SlurmSettings,
};
use crate::engines::{EngineError, Floor, FloorHeld, FloorNode, FloorWaiting, RunId};

/// For how long a job that is over may hold its nodes while they clean up, and is waited for.
const CLEANS_UP: SignedDuration = SignedDuration::from_secs(15);
/// How long after an end what was read before it may not know yet that its nodes are free.
const JUST_ENDED: SignedDuration = SignedDuration::from_secs(2);

/// The nodes before the jobs: what begins in between is then seen to run, and nobody is asked to leave for it.
fn script(settings: &SlurmSettings, accounts: &BTreeSet<String>) -> String {
    let partition = settings.partition.as_ref().map_or_else(String::new, |name| format!(" -p {name}"));
    let accounts = accounts.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    format!(
        "sinfo -h -N{partition} -O 'NodeList:.80,StateLong:.40,CPUsState:.40,Memory:.20,AllocMem:.20,Gres:.80,GresUsed:.80' || exit\n\
         echo jobs\nSLURM_TIME_FORMAT=%s squeue -h -t all -u {accounts} -o '%A|%F|%T|%r|%Q|%e|%N|%k'\n"
    )
}

impl Inner {
    /// What jobs of ours that wait for room would find, and what those hold who might leave; none where none of `own` waits for
    /// room, or others of the cluster wait before all of ours, who would be given it.
    pub(super) async fn floor(&self, own: &[RunId], guests: &[RunId]) -> Result<Option<Floor>, EngineError> {
        let asked: HashMap<RunId, Live> = {
            let all = lock(&self.live);
            own.iter().chain(guests).filter_map(|run| Some((*run, all.get(run)?.clone()))).collect()
        };
        if !own.iter().any(|run| asked.get(run).is_some_and(|live| live.waits_for_room)) {
            return Ok(None);
        }
        let accounts = asked.values().map(|live| live.account.clone()).collect();
        let script = script(&self.settings, &accounts);
        let said =
            self.commands.answer(&self.settings.observer, "read how full the nodes are", &script).await?;
        let text = said.text();
        let Some((nodes, jobs)) = text.split_once("jobs\n") else {
            return Err(EngineError::Site {
                doing: "read how full the nodes are",
                said: "the answer is not whole".to_owned(),
            });
        };
        let nodes: BTreeMap<String, FloorNode> = nodes.lines().filter_map(node).collect();
        let rows: Vec<Row> = jobs.lines().filter_map(row).collect();
        Ok(floor(&asked, nodes, &rows, Timestamp::now())
            .filter(|floor| floor.waiting.iter().any(|waiting| own.contains(&waiting.run))))
    }
}

/// A row of the queue.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    slurm_id: u64,
    run: RunId,
    state: State,
    reason: String,
    priority: u64,
    ended_at: Option<Timestamp>,
    nodes: Vec<String>,
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.splitn(8, '|').map(str::trim).collect();
    let [own, array, state, reason, priority, end, nodes, comment] = fields.as_slice() else { return None };
    Some(Row {
        slurm_id: array.parse().or_else(|_| own.parse()).ok()?,
        run: comment.strip_prefix(COMMENT)?.parse().ok()?,
        state: State::read(state),
        // What follows a comma names nodes.
        reason: reason.split(',').next().unwrap_or_default().to_owned(),
        priority: priority.parse().unwrap_or(0),
        ended_at: end.parse().ok().and_then(|end| Timestamp::from_second(end).ok()),
        nodes: hosts(nodes),
    })
}

/// A node that takes jobs, with its name; none of one that is drained, down or does not answer.
fn node(line: &str) -> Option<(String, FloorNode)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, state, cpus, memory, memory_held, gpus, gpus_held] = fields.as_slice() else { return None };
    // A node that is planned is idle and kept for a job that waits, as `-` says of others; `~` and `#` are powered up when needed.
    let word = state.trim_end_matches(['-', '~', '#', '+']);
    if !["idle", "planned", "mixed", "allocated", "completing"].contains(&word) {
        return None;
    }
    let idle = cpus.split('/').nth(1)?.parse().ok()?;
    let mebibytes = memory.parse::<u64>().ok()?.saturating_sub(memory_held.parse().ok()?);
    let (gpu_type, there) = accelerators(gpus);
    let free = Resources {
        cpu_cores: idle,
        memory_bytes: mebibytes << 20,
        gpus: there.saturating_sub(accelerators(gpus_held).1),
    };
    Some(((*name).to_owned(), FloorNode { free, gpu_type }))
}

/// The type and the number in `gpu:gh200:4(S:0-1)`, `gpu:2(IDX:0,3)` or `(null)`; of several types the sum, and none's name.
fn accelerators(text: &str) -> (Option<String>, u32) {
    let mut types = BTreeSet::new();
    let mut count = 0;
    // The places in brackets may hold commas.
    for part in text.split("gpu:").skip(1) {
        let words = part.split(['(', ',']).next().unwrap_or_default();
        let (kind, number) =
            words.rsplit_once(':').map_or((None, words), |(kind, number)| (Some(kind), number));
        count += number.parse::<u32>().unwrap_or(0);
        types.insert(kind.map(ToOwned::to_owned));
    }
    (types.pop_first().flatten().filter(|_| types.is_empty()), count)
}

fn floor(
    asked: &HashMap<RunId, Live>,
    nodes: BTreeMap<String, FloorNode>,
    rows: &[Row],
    now: Timestamp,
) -> Option<Floor> {
    let is_first = |row: &Row| row.state == State::Pending && row.reason == "Resources";
    if !rows.iter().any(is_first) {
        return None;
    }
    let places: HashMap<&str, usize> = nodes.keys().map(String::as_str).zip(0..).collect();
    let mut waiting: Vec<(&Row, FloorWaiting)> = Vec::new();
    let (mut held, mut is_settled) = (Vec::new(), true);
    for row in rows {
        let since_end = row.ended_at.map(|ended| now.duration_since(ended));
        let live = asked.get(&row.run);
        match row.state {
            State::Pending => {
                let waits = ["Resources", "Priority", "None"].contains(&row.reason.as_str());
                waiting.extend(live.filter(|_| waits).map(|live| (row, live.wish())));
            }
            State::Running => {
                let on = row.nodes.iter().filter_map(|name| places.get(name.as_str()).copied());
                if let Some(live) = live {
                    held.extend(on.map(|node| FloorHeld { run: row.run, node, what: live.each }));
                }
            }
            State::Completing => is_settled &= since_end.is_none_or(|since| since > CLEANS_UP),
            State::Ended(_) => is_settled &= since_end.is_none_or(|since| since > JUST_ENDED),
        }
    }
    waiting.sort_by_key(|(row, _)| (std::cmp::Reverse(row.priority), row.slurm_id));
    let waiting = waiting.into_iter().map(|(_, waiting)| waiting).collect();
    Some(Floor { nodes: nodes.into_values().collect(), waiting, held, is_settled })
}

impl Live {
    fn wish(&self) -> FloorWaiting {
        FloorWaiting {
            run: self.run,
            each: self.each,
            nodes: self.shape.nodes,
            tasks: self.shape.count.min(self.shape.parallel),
            gpu_type: self.shape.gpu_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_with_what_is_free_on_it_and_one_that_takes_no_jobs_is_none() {
        let line = "jl1  mixed-  32/16/0/48  240000  1000  gpu:gh200:4(S:0-1)  gpu:gh200:1(IDX:0)";
        let free = Resources { cpu_cores: 16, memory_bytes: 239_000 << 20, gpus: 3 };
        let wanted = FloorNode { free, gpu_type: Some("gh200".to_owned()) };
        assert_eq!(node(line), Some(("jl1".to_owned(), wanted)));
        for state in ["drained", "draining", "mixed*", "down", "idle$", "reserved"] {
            assert_eq!(node(&line.replace("mixed-", state)), None, "{state}");
        }
        assert!(node(&line.replace("mixed-", "planned")).is_some());
    }

    #[test]
    fn accelerators_are_counted_by_their_type() {
        let named = |kind: &str, count| (Some(kind.to_owned()), count);
        assert_eq!(accelerators("gpu:gh200:4(S:0-1)"), named("gh200", 4));
        assert_eq!(accelerators("gpu:h100:2(IDX:0,3)"), named("h100", 2));
        assert_eq!((accelerators("gpu:2"), accelerators("(null)")), ((None, 2), (None, 0)));
        assert_eq!(accelerators("gpu:a100:2,gpu:v100:1,mps:4"), (None, 3));
    }

    #[test]
    fn the_line_is_as_slurm_has_it_and_none_where_others_stand_first() {
        let run = |number: u8| RunId::from(sta_protocol::ids::JobId::new(1, [number; 10]));
        let at = |line: &str| row(line).unwrap();
        let text = |number: u8, state: &str, reason: &str, priority: u64, slurm_id: u64| {
            format!("{slurm_id}|{slurm_id}|{state}|{reason}|{priority}|N/A|jl[1-2]|sta:{}", run(number))
        };
        let rows = [
            at(&text(1, "PENDING", "Priority", 10, 7)),
            at(&text(2, "PENDING", "Resources", 10, 6)),
            at(&text(3, "PENDING", "Priority", 20, 9)),
            at(&text(4, "PENDING", "JobHeldUser", 30, 5)),
        ];
        let order = |rows: &[Row]| {
            let floor = floor(&live(&[1, 2, 3, 4].map(run)), BTreeMap::new(), rows, Timestamp::now());
            floor.map(|floor| floor.waiting.iter().map(|waiting| waiting.run).collect::<Vec<_>>())
        };
        assert_eq!(order(&rows), Some(vec![run(3), run(2), run(1)]));
        assert_eq!(order(&rows[..1]), None);
    }

    fn live(runs: &[RunId]) -> HashMap<RunId, Live> {
        let account = super::super::SiteAccount { unix: "ada01".to_owned(), slurm_account: None, qos: None };
        let text = |run: &RunId| {
            format!(
                r#"{{"id": "{run}", "owner": {{"member": "ca", "project": "digits", "researcher": "ada"}}, "name": "x", "image": "host",
                "shape": {{}}, "site_options": {{}}, "command": ["true"], "inputs": [], "outputs": [], "cpu_cores": 1,
                "memory_bytes": 1, "gpus": 0, "time_limit_s": 1, "network": false, "environment": []}}"#
            )
        };
        runs.iter()
            .map(|run| (*run, Live::intended(&serde_json::from_str(&text(run)).unwrap(), &account)))
            .collect()
    }
}
