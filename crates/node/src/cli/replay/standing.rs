// SPDX-License-Identifier: Apache-2.0
//! `sta replay standing FILE`: what members gave each other, reckoned again from the events that a node tells, beside what it says of it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};
use sta_replay::standing::{self, Balance, Difference, Replayed, Standing, Told};

use super::super::{
    failure::{Exit, Failure, Trying},
    print::{self, Style},
};

/// The most bytes of a file: about 500 for each of the jobs that a node tells, and as many for their times, several times over.
const BYTES_MAX: u64 = 1 << 30;
/// How the file comes to be.
const MEND: &str = "Write it anew at the node with `sta standing --jobs --json > FILE`.";

/// What `sta replay standing` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct StandingArgs {
    /// What `sta standing --jobs --json` wrote; - for standard input
    file: PathBuf,
}

/// Does it.
///
/// # Errors
/// The file cannot be read, tells of what cannot have been, or has a number that is another than the replay's.
pub(super) fn run(args: &StandingArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("replay how members stand by `{}`", args.file.display());
    let malformed = |cause: String| Failure::new(&doing, cause).exit(Exit::Usage).mend(MEND);
    let text = read(&args.file, BYTES_MAX).trying_to(&doing)?;
    let told: Told = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    let replayed = standing::replay(&told).map_err(|error| malformed(error.to_string()))?;
    let difference = replayed.first_difference(&told);
    style.answer(&document(&told, &replayed, difference.as_ref()), || {
        text_of(&told, &replayed, difference.is_none())
    });
    let Some(difference) = difference else { return Ok(()) };
    let refused = Failure::new("agree with what the node told", difference.to_string());
    Err(refused.exit(Exit::Unverified))
}

/// All that stands there, if it is not longer than so many bytes.
fn read(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    let mut text = Vec::new();
    source.take(bytes_max + 1).read_to_end(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(text)
}

/// The balances that were told, each member beside what was replayed of it.
fn beside<'a>(
    told: &'a Told,
    replayed: &'a Replayed,
) -> impl Iterator<Item = (&'a Balance, impl Iterator<Item = (&'a standing::Member, &'a Standing)>)> {
    let kinds = standing::Kind::ALL.into_iter().zip(&replayed.balances);
    kinds.filter_map(|(kind, members)| {
        let balance = told.balances.iter().find(|balance| balance.processors == kind)?;
        Some((balance, balance.members.iter().zip(members)))
    })
}

fn text_of(told: &Told, replayed: &Replayed, agrees: bool) -> String {
    let mut text = format!("From {} to {}, {} job(s)\n", told.since, told.until, told.jobs.len());
    for (balance, members) in beside(told, replayed) {
        let rows = members.flat_map(|(member, replayed)| {
            let numbers = member.beside(replayed).into_iter();
            numbers.map(|(number, told, replayed)| {
                let differs = told.is_some_and(|told| told != replayed);
                // What the node does not tell is not known to a replay of its events either.
                let shown = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
                [
                    member.member.clone(),
                    number.replace("_ms", ""),
                    shown(told),
                    shown(told.map(|_| replayed)),
                    if differs { "differs".to_owned() } else { String::new() },
                ]
            })
        });
        let kind = balance.processors.as_str();
        let table = print::table(["member", "", ">told", ">replayed", ""], rows);
        text += &format!("\nBy {kind}; given, taken and credits in milliseconds of {kind}\n{table}\n");
    }
    text += "\nA replay takes the events as they are told; whether they were so is seen beside what the other member's node tells.\n";
    if agrees {
        text += "What the node told of its members and jobs agrees to the digit.\n";
    }
    text
}

fn document(told: &Told, replayed: &Replayed, difference: Option<&Difference>) -> Value {
    let member = |(member, replayed): (&standing::Member, &Standing)| {
        let numbers = member.beside(replayed).into_iter().map(|(number, told, replayed)| {
            (number.to_owned(), json!({ "told": told, "replayed": told.map(|_| replayed) }))
        });
        let numbers: serde_json::Map<String, Value> = numbers.collect();
        json!({ "member": member.member, "numbers": numbers })
    };
    let balances = beside(told, replayed).map(|(balance, members)| {
        json!({ "processors": balance.processors.as_str(), "members": members.map(member).collect::<Vec<_>>() })
    });
    let difference = difference.map(|difference| {
        let Difference { of, number, told, replayed } = difference;
        json!({ "of": of, "number": number, "told": told, "replayed": replayed })
    });
    json!({
        "since": told.since,
        "until": told.until,
        "jobs": told.jobs.len(),
        "balances": balances.collect::<Vec<_>>(),
        "agrees": difference.is_none(),
        "first_difference": difference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_longer_than_is_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("standing.json");
        std::fs::write(&file, b"12345").expect("written");
        assert_eq!(read(&file, 5).expect("it is as long as it may be"), b"12345");
        assert_eq!(read(&file, 4).expect_err("it is longer").to_string(), "it has more than 4 bytes");
    }
}
