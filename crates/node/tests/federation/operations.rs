// SPDX-License-Identifier: Apache-2.0
//! What happens in a simulation: a list of operations that follows from the seed.

use std::collections::{BTreeMap, BTreeSet};

use sta_protocol::{
    ids::SiteId,
    job::{Checkpoint, JobSpec, Objective, Shape},
};

use super::{
    chance::Random,
    fixture::{DATASETS, MEMBERS, PROJECTS, fixture, site_ids},
};

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// A person submits a job at home, which may wait for an earlier one of the same project there.
    Submit { person: usize, spec: Box<JobSpec>, after: Option<usize> },
    /// An earlier submission is sent once more, as a client does that got no answer.
    SubmitAgain { earlier: usize },
    /// An earlier job is cancelled.
    Cancel { earlier: usize },
    /// A member's people order that an earlier job stops, wherever it is.
    Order { member: usize, earlier: usize },
    /// An earlier order is lifted.
    Lift { order: usize },
    /// A member's node is killed.
    Crash { member: usize },
    /// A member's node is started.
    Restart { member: usize },
    /// Two members cannot reach each other.
    Cut { between: (usize, usize) },
    /// They can again.
    Heal { between: (usize, usize) },
    /// A member's calls are held up.
    Delay { member: usize, by_ms: u64 },
    /// A member's next calls are made twice.
    Duplicate { member: usize, calls: u32 },
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Submit { person, spec, after } => {
                let (data, sites): (Vec<_>, Vec<_>) = (
                    spec.datasets.iter().map(ToString::to_string).collect(),
                    spec.sites_allowed.iter().map(SiteId::as_str).collect(),
                );
                let who = &fixture().people[*person].researcher.id;
                let (cores, limit) = (spec.cpu_cores, spec.time_limit_s);
                write!(
                    f,
                    "{who} submits {} on {data:?} for {} with {cores} cores, {limit} s, {} attempts, sites {sites:?}, after {after:?}",
                    spec.name, spec.project, spec.attempts_max
                )
            }
            Self::SubmitAgain { earlier } => write!(f, "submission {earlier} comes again"),
            Self::Cancel { earlier } => write!(f, "job {earlier} is cancelled"),
            Self::Order { member, earlier } => {
                write!(f, "{} orders job {earlier} to stop", MEMBERS[*member])
            }
            Self::Lift { order } => write!(f, "order {order} is lifted"),
            Self::Crash { member } => write!(f, "{} crashes", MEMBERS[*member]),
            Self::Restart { member } => write!(f, "{} restarts", MEMBERS[*member]),
            Self::Cut { between: (a, b) } => write!(f, "{} and {} are cut off", MEMBERS[*a], MEMBERS[*b]),
            Self::Heal { between: (a, b) } => write!(f, "{} and {} are healed", MEMBERS[*a], MEMBERS[*b]),
            Self::Delay { member, by_ms } => {
                write!(f, "calls of {} take {by_ms} ms longer", MEMBERS[*member])
            }
            Self::Duplicate { member, calls } => {
                write!(f, "the next {calls} calls of {} are made twice", MEMBERS[*member])
            }
        }
    }
}

/// An operation and how long after the one before it happens.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) after_ms: u64,
    pub(super) operation: Operation,
}

/// The operations of a seed: 20 to 40, over about a minute.
pub(super) fn plan(seed: u64) -> Vec<Planned> {
    let mut random = Random::of(seed, "operations");
    let count = random.between(20, 40);
    let mut so_far = SoFar::default();
    (0..count)
        .map(|_| {
            let operation = so_far.next(&mut random);
            // Often at once, so that operations meet each other on their way.
            let after_ms =
                if random.percent(35) { random.between(0, 200) } else { random.between(200, 3500) };
            Planned { after_ms, operation }
        })
        .collect()
}

/// What the operations so far have come to.
#[derive(Default)]
struct SoFar {
    submitted: usize,
    ordered: usize,
    down: BTreeSet<usize>,
    cut: BTreeSet<(usize, usize)>,
}

impl SoFar {
    fn next(&mut self, random: &mut Random) -> Operation {
        let operation = self.mend(random).unwrap_or_else(|| self.operation(random));
        match &operation {
            Operation::Submit { .. } => self.submitted += 1,
            Operation::Order { .. } => self.ordered += 1,
            Operation::Crash { member } => {
                self.down.insert(*member);
            }
            Operation::Restart { member } => {
                self.down.remove(member);
            }
            Operation::Cut { between } => {
                self.cut.insert(*between);
            }
            Operation::Heal { between } => {
                self.cut.remove(between);
            }
            Operation::SubmitAgain { .. }
            | Operation::Cancel { .. }
            | Operation::Lift { .. }
            | Operation::Delay { .. }
            | Operation::Duplicate { .. } => {}
        }
        operation
    }

    /// What is broken is often mended soon: a member that is down does little that could go wrong.
    fn mend(&self, random: &mut Random) -> Option<Operation> {
        let down = self.down.iter().next().filter(|_| random.percent(45));
        let cut = self.cut.iter().next().filter(|_| random.percent(20));
        down.map(|member| Operation::Restart { member: *member })
            .or_else(|| cut.map(|between| Operation::Heal { between: *between }))
    }

    fn operation(&self, random: &mut Random) -> Operation {
        let submitted = self.submitted;
        let member = random.below(MEMBERS.len());
        let between = [(0, 1), (0, 2), (1, 2)][random.below(3)];
        // The newest jobs are still on their way.
        let newest = |random: &mut Random| submitted - 1 - random.below(submitted.min(4));
        match random.below(100) {
            0..42 => submit(random, submitted),
            42..49 if submitted > 0 => Operation::Order { member, earlier: newest(random) },
            49..52 if self.ordered > 0 => Operation::Lift { order: random.below(self.ordered) },
            52..55 if submitted > 0 => Operation::SubmitAgain { earlier: random.below(submitted) },
            55..66 if submitted > 0 => Operation::Cancel { earlier: newest(random) },
            66..76 => Operation::Crash { member },
            76..79 => Operation::Restart { member },
            79..88 => Operation::Cut { between },
            88..91 => Operation::Heal { between },
            91..95 => Operation::Delay { member, by_ms: *random.pick(&[0, 30, 300, 2500]) },
            95..100 => Operation::Duplicate { member, calls: random.between(1, 6).try_into().expect("few") },
            _ => submit(random, submitted),
        }
    }
}

/// The site of each member that does not order its jobs itself, and its cores.
const PLAIN_SITES: [(&str, u32); 3] = [("a-river", 4), ("b-institute", 4), ("c-annex", 2)];

/// Now and then a job is for one site alone: a guest's small one, or one of the owner's that needs the whole site.
fn meet_at_a_site(random: &mut Random, home: usize, spec: &mut JobSpec) {
    let (at, cores) = match random.below(100) {
        0..20 => (home, None),
        20..45 => ((home + 1) % PLAIN_SITES.len(), Some(1)),
        _ => return,
    };
    let (site, whole) = PLAIN_SITES[at];
    spec.datasets.clear();
    spec.purpose = "research".to_owned();
    spec.cpu_cores = cores.unwrap_or(whole);
    (spec.sites_allowed, spec.sites_refused) = (vec![site.parse().expect("a name")], Vec::new());
}

fn submit(random: &mut Random, number: usize) -> Operation {
    let fixture = fixture();
    let person = random.below(fixture.people.len());
    let sites = site_ids();
    let (project, _) = PROJECTS[usize::from(random.percent(25))];
    let datasets = match random.below(100) {
        0..45 => Vec::new(),
        _ => {
            let (holder, name, ..) = *random.pick(&DATASETS);
            vec![format!("{holder}/{name}").parse().expect("a name")]
        }
    };
    let own_input = random.percent(30);
    let with_output = random.percent(60);
    let mut spec = JobSpec {
        version: 1,
        name: format!("job-{number}"),
        command: vec!["train".to_owned()],
        image: "host".to_owned(),
        project: project.parse().expect("a name"),
        purpose: if random.percent(95) { "research" } else { "marketing" }.to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets,
        inputs: own_input.then(|| fixture.inputs[fixture.people[person].home].clone()).into_iter().collect(),
        outputs: with_output.then(|| "model.bin".to_owned()).into_iter().collect(),
        cpu_cores: random.between(1, 3).try_into().expect("few"),
        memory_bytes: 1 << 30,
        gpus: 0,
        time_limit_s: random.between(4, 30).try_into().expect("short"),
        network: false,
        objective: *random.pick(&[Objective::CHEAPEST, Objective::CLEANEST, Objective::SOONEST]),
        sites_allowed: if random.percent(20) { vec![random.pick(&sites).clone()] } else { Vec::new() },
        sites_refused: if random.percent(10) { vec![random.pick(&sites).clone()] } else { Vec::new() },
        shape: Shape::default(),
        outputs_weights: Vec::new(),
        after: Vec::new(),
        attempts_max: random.between(1, 3).try_into().expect("few"),
        site_options: BTreeMap::new(),
        training: None,
        inputs_about: None,
        checkpoint: random.percent(50).then_some(Checkpoint { on_signal: true, every_s: None }),
    };
    meet_at_a_site(random, fixture.people[person].home, &mut spec);
    let after = (number > 0 && random.percent(35)).then(|| random.below(number));
    Operation::Submit { person, spec: Box::new(spec), after }
}
