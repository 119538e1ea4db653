// SPDX-License-Identifier: Apache-2.0
//! The second way to how members stand: over random events it comes to every number of the first, and what cannot have been is refused.

use jiff::Timestamp;
use proptest::prelude::*;
use sta_decide::standing as first;
use sta_replay::standing::{
    Alone, Balance, Credits, Difference, JOBS_MAX, Job, Kind, Member, SITES_MAX, Site, Span, StandingError,
    Told, replay,
};

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(ms).unwrap()).unwrap()
}

fn ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap()
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Cores), Just(Kind::Accelerators)]
}

/// Whose it is, what it wants, when it comes and how long it runs.
type Who = (usize, Kind, u32, u64, u64);

/// Jobs of so many members on so many sites: some come before the time and some after it, some have not finished, some want more than
/// their home has, and they ran anywhere.
fn jobs(members: usize, sites: usize) -> impl Strategy<Value = Vec<Job>> {
    let span = (0..sites, 0u64..400, 0u64..400);
    let who = (0..members, kinds(), 1u32..14, 800u64..1900, 0u64..300);
    let more = (prop::collection::vec(span, 0..4), prop::option::of(0u64..700), 0u64..80, 0u64..80);
    prop::collection::vec((who, more), 0..40).prop_map(|all| {
        let job = |(number, ((member, kind, processors, submit_ms, run_ms), more)): (usize, (Who, _))| {
            let (spans, finished, estimate, later_ms_max): (Vec<_>, Option<u64>, u64, u64) = more;
            let span = |(site, wait_ms, held_ms): (usize, u64, u64)| Span {
                site: format!("s{site}"),
                began_at: at(submit_ms + wait_ms),
                ended_at: at(submit_ms + wait_ms + held_ms),
            };
            Job {
                job: format!("j{number}"),
                home: format!("m{member}"),
                home_site: None,
                kind,
                processors,
                submitted_at: at(submit_ms),
                // Some run longer than they said.
                estimate_ms: (run_ms + estimate).saturating_sub(20),
                run_ms,
                later_ms_max,
                finished_at: finished.map(|after_ms| at(submit_ms + after_ms)),
                alone_began_at: None,
                alone_finished_at: None,
                is_late: false,
                spans: spans.into_iter().map(span).collect(),
            }
        };
        all.into_iter().enumerate().map(job).collect()
    })
}

/// Two to four members, of which some may have no site.
fn all() -> impl Strategy<Value = Told> {
    let size = (0u32..12, 0u32..12);
    let sizes = (2usize..5).prop_flat_map(move |members| {
        (Just(members), prop::collection::vec((0..members, size.clone()), 1..6))
    });
    let terms = (900u64..1100, 0u64..800, 1u64..90, 0u32..=1_000_000, 0u32..5);
    (sizes, terms).prop_flat_map(|((members, sites), terms)| {
        let (from_ms, more_ms, quantum_ms, guaranteed_ppm, quanta_at_start) = terms;
        let site = |(number, (member, (cores, accelerators))): (usize, &(usize, (u32, u32)))| Site {
            site: format!("s{number}"),
            member: format!("m{member}"),
            cores: *cores,
            accelerators: *accelerators,
        };
        let sites: Vec<Site> = sites.iter().enumerate().map(site).collect();
        jobs(members, sites.len()).prop_map(move |jobs| Told {
            since: at(from_ms),
            until: at(from_ms + more_ms),
            credits: Credits { quantum_ms, guaranteed_ppm, quanta_at_start },
            sites: sites.clone(),
            balances: Kind::ALL.map(|processors| Balance { processors, members: nothing(members) }).into(),
            jobs,
        })
    })
}

fn nothing(members: usize) -> Vec<Member> {
    let member = |number| Member {
        member: format!("m{number}"),
        given_ms: 0,
        taken_ms: 0,
        credits_ms: 0,
        jobs: 0,
        violations: Some(0),
    };
    (0..members).map(member).collect()
}

/// The name behind its first letter.
fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

/// The same events for the first way, and of each job the site that stands for home, looked up as it is written down.
fn events(told: &Told, kind: Kind) -> (Vec<first::Site>, Vec<first::Job>, Vec<Option<usize>>) {
    let has = |site: &Site| if kind == Kind::Cores { site.cores } else { site.accelerators };
    let own_site = |site: &Site| first::Site { member: number(&site.member), processors: has(site) };
    let mut sites: Vec<first::Site> = told.sites.iter().map(own_site).collect();
    let members = told.balances[0].members.len();
    // Where nobody's home is there is nothing to begin on.
    sites.extend((0..members).map(|member| first::Site { member, processors: 0 }));
    let home = |job: &Job| {
        let mut home: Option<usize> = None;
        for (place, site) in told.sites.iter().enumerate().filter(|(_, site)| site.member == job.home) {
            let held = home.map(|home| has(&told.sites[home]));
            if held.is_none_or(|held| held < job.processors && has(site) >= held) {
                home = Some(place);
            }
        }
        home
    };
    let span = |span: &Span| first::Span {
        site: number(&span.site),
        begin_ms: ms(span.began_at),
        end_ms: ms(span.ended_at),
    };
    let job = |job: &Job| first::Job {
        home: home(job).unwrap_or(told.sites.len() + number(&job.home)),
        processors: job.processors,
        submit_ms: ms(job.submitted_at),
        estimate_ms: job.estimate_ms,
        run_ms: job.run_ms,
        finished_ms: job.finished_at.map(ms),
        later_ms_max: job.later_ms_max,
        spans: job.spans.iter().map(span).collect(),
    };
    let of_kind = || told.jobs.iter().filter(|job| job.kind == kind);
    (sites, of_kind().map(job).collect(), of_kind().map(home).collect())
}

/// What a node tells of these events, by the first way.
fn honest(told: &Told) -> Told {
    let mut honest = told.clone();
    let terms = first::Terms {
        from_ms: ms(told.since),
        until_ms: ms(told.until),
        quantum_ms: told.credits.quantum_ms,
        guaranteed_ppm: told.credits.guaranteed_ppm,
        quanta_at_start: told.credits.quanta_at_start,
    };
    for balance in &mut honest.balances {
        let (sites, jobs, homes) = events(told, balance.processors);
        let standing = first::Standing::of(&terms, balance.members.len(), &sites, &jobs).unwrap();
        for (member, of) in balance.members.iter_mut().zip(standing.members) {
            member.given_ms = u64::try_from(of.given_ms).unwrap();
            member.taken_ms = u64::try_from(of.taken_ms).unwrap();
            (member.credits_ms, member.jobs, member.violations) = (of.credits_ms, of.jobs, Some(of.late));
        }
        let mine = honest.jobs.iter_mut().filter(|job| job.kind == balance.processors);
        for ((job, alone), home) in mine.zip(standing.jobs).zip(homes) {
            job.home_site = home.map(|home| told.sites[home].site.clone());
            job.alone_began_at = alone.begin_ms.map(at);
            job.alone_finished_at = alone.finish_ms.map(at);
            job.is_late = alone.late;
        }
    }
    honest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_ways_come_to_the_same_numbers(told in all()) {
        let honest = honest(&told);
        let replayed = replay(&honest).unwrap();
        prop_assert_eq!(replayed.first_difference(&honest), None);
        prop_assert_eq!(&replay(&told).unwrap(), &replayed, "what was told of the numbers changes nothing");
        let taken: u128 = replayed.balances.iter().flatten().map(|member| member.taken_ms).sum();
        prop_assert_eq!(replayed.balances.iter().flatten().map(|member| member.given_ms).sum::<u128>(), taken);
    }

    #[test]
    fn whichever_number_is_changed_is_the_one_that_is_named(
        told in all(), member in 0usize..4, balance in 0usize..2, which in 0usize..5, job in 0usize..40,
    ) {
        let honest = honest(&told);
        let mut false_one = honest.clone();
        let members = &mut false_one.balances[balance].members;
        let place = member % members.len();
        let told = &mut members[place];
        let counted = false_one.jobs.is_empty() && which == 3;
        let number: (&str, &mut u64) = match which {
            0 => ("given_ms", &mut told.given_ms),
            1 => ("taken_ms", &mut told.taken_ms),
            2 => ("credits_ms", &mut told.credits_ms),
            3 => ("jobs", &mut told.jobs),
            _ => ("violations", told.violations.as_mut().unwrap()),
        };
        let was = *number.1;
        *number.1 += 1;
        let difference = Difference {
            of: format!("member `m{place}` by {}", Kind::ALL[balance].as_str()),
            number: number.0,
            told: (was + 1).to_string(),
            replayed: was.to_string(),
        };
        match replay(&false_one) {
            Ok(replayed) => prop_assert_eq!(replayed.first_difference(&false_one), Some(difference)),
            Err(error) => prop_assert!(counted && error == StandingError::NoJobs, "{error}"),
        }
        let mut false_one = honest.clone();
        if let Some(job) = false_one.jobs.get_mut(job) {
            job.is_late = !job.is_late;
            let (of, late) = (format!("job `{}`", job.job), job.is_late);
            let difference = replay(&honest).unwrap().first_difference(&false_one).unwrap();
            let expected = Difference { of, number: "is_late", told: late.to_string(), replayed: (!late).to_string() };
            prop_assert_eq!(difference, expected);
        }
    }
}

/// One member with a site of four cores, another with none, and a job of the latter there from 1 s to 3 s.
fn guest() -> Told {
    let job = Job {
        job: "j".to_owned(),
        home: "m1".to_owned(),
        home_site: None,
        kind: Kind::Cores,
        processors: 2,
        submitted_at: at(1000),
        estimate_ms: 2000,
        run_ms: 2000,
        later_ms_max: 0,
        finished_at: Some(at(3000)),
        alone_began_at: None,
        alone_finished_at: None,
        is_late: false,
        spans: vec![Span { site: "s0".to_owned(), began_at: at(1000), ended_at: at(3000) }],
    };
    let mut told = Told {
        since: at(1000),
        until: at(4000),
        credits: Credits { quantum_ms: 1000, guaranteed_ppm: 1_000_000, quanta_at_start: 1 },
        sites: vec![Site { site: "s0".to_owned(), member: "m0".to_owned(), cores: 4, accelerators: 0 }],
        balances: Kind::ALL.map(|processors| Balance { processors, members: nothing(2) }).into(),
        jobs: vec![job],
    };
    let members = &mut told.balances[0].members;
    // Who has no credits borrows nothing, so that Karma's credits stay where they were.
    (members[0].given_ms, members[0].credits_ms) = (4000, 4000);
    (members[1].taken_ms, members[1].jobs) = (4000, 1);
    told
}

#[test]
fn what_a_member_without_a_site_had_is_given_and_taken_and_its_job_has_no_end_alone() {
    let replayed = replay(&guest()).unwrap();
    assert_eq!(replayed.first_difference(&guest()), None);
    assert_eq!(replayed.jobs, [Alone::default()]);
}

#[test]
fn a_job_that_still_runs_counts_until_the_end_of_the_time_and_is_late_when_it_has_done_too_little() {
    let mut told = guest();
    told.jobs[0].finished_at = None;
    told.jobs[0].spans[0].ended_at = at(9000);
    told.jobs[0].home = "m0".to_owned();
    told.jobs[0].run_ms = 1999;
    let alone = replay(&told).unwrap().jobs[0];
    assert_eq!((alone.home_site, alone.began_ms, alone.finished_ms), (Some(0), Some(1000), None));
    assert!(alone.is_late, "alone it would have worked for 3000 ms by now");
    told.jobs[0].later_ms_max = 1001;
    assert!(!replay(&told).unwrap().jobs[0].is_late);
    told.jobs[0].home = "m1".to_owned();
    assert_eq!(replay(&told).unwrap().balances[0][1].taken_ms, 6000, "two cores for three seconds");
}

#[test]
fn what_a_node_does_not_tell_of_a_member_is_not_compared() {
    let mut told = guest();
    told.balances[0].members[1].violations = None;
    assert_eq!(replay(&told).unwrap().first_difference(&told), None);
}

#[test]
fn what_cannot_have_been_is_told_with_what_is_wrong() {
    let said = |change: fn(&mut Told)| {
        let mut told = guest();
        change(&mut told);
        replay(&told).unwrap_err().to_string()
    };
    let time = |since: &str, until: &str, quantum: u64| {
        format!(
            "it tells of {since} to {until} by quanta of {quantum} ms: the time must not end before it begins, and has at most 105408 \
             quanta of 1 ms or more"
        )
    };
    let (one, four) = ("1970-01-01T00:00:01Z", "1970-01-01T00:00:04Z");
    assert_eq!(said(|told| told.until = at(999)), time(one, "1970-01-01T00:00:00.999Z", 1000));
    assert_eq!(said(|told| told.credits.quantum_ms = 0), time(one, four, 0));
    assert_eq!(
        said(|told| (told.credits.quantum_ms, told.until) = (1, at(1_000_000))),
        time(one, "1970-01-01T00:16:40Z", 1)
    );
    assert_eq!(
        said(|told| told.since = Timestamp::from_second(-5).unwrap()),
        "the time is told with 1969-12-31T23:59:55Z, which is before 1970"
    );
    assert_eq!(said(|told| told.jobs.push(told.jobs[0].clone())), "it tells of job `j` twice");
    assert_eq!(said(|told| told.sites.push(told.sites[0].clone())), "it tells of site `s0` twice");
    assert_eq!(
        said(|told| told.balances.push(told.balances[1].clone())),
        "it tells of balance `accelerators` twice"
    );
    assert_eq!(
        said(|told| told.balances[0].members = [nothing(1), nothing(2)].concat()),
        "it tells of member `m0` twice"
    );
    assert_eq!(said(|told| drop(told.balances.pop())), "it has no balance of accelerators");
    assert_eq!(
        said(|told| told.jobs.clear()),
        "it counts jobs and tells of none: there is nothing to replay"
    );
    assert_eq!(
        said(|told| told.jobs[0].spans[0].site = "x".to_owned()),
        "job `j` names site `x`, of which it does not tell"
    );
    assert_eq!(
        said(|told| told.jobs[0].home = "x".to_owned()),
        "job `j` names member `x`, of which it does not tell"
    );
    assert_eq!(
        said(|told| told.sites[0].member = "x".to_owned()),
        "site `s0` names member `x`, of which it does not tell"
    );
    assert_eq!(said(|told| told.jobs[0].processors = 0), "job `j` has no processors: a job has one or more");
    let order = |earlier: &str, later: &str| {
        format!(
            "job `j` has an event at {earlier} and the next at {later}: it comes, begins and ends in this order"
        )
    };
    let zero = "1970-01-01T00:00:00Z";
    assert_eq!(said(|told| told.jobs[0].spans[0].began_at = at(0)), order(one, zero));
    assert_eq!(said(|told| told.jobs[0].spans[0].ended_at = at(0)), order(one, zero));
    assert_eq!(said(|told| told.jobs[0].finished_at = Some(at(0))), order(one, zero));
    assert_eq!(
        said(|told| told.jobs[0].run_ms = u64::MAX),
        "its jobs ran longer together than can be counted in milliseconds"
    );
    assert_eq!(
        said(|told| told.credits.guaranteed_ppm = 1_000_001),
        "credits cannot be kept by what it tells: 1000001 millionths of a share cannot be guaranteed: use 0 (all is shared) to 1000000 (nothing is)"
    );
}

#[test]
fn more_than_is_taken_in_is_refused_before_it_is_reckoned() {
    let too_many = |change: &dyn Fn(&mut Told)| {
        let mut told = guest();
        change(&mut told);
        replay(&told).unwrap_err()
    };
    let jobs = too_many(&|told| told.jobs = vec![told.jobs[0].clone(); JOBS_MAX + 1]);
    assert_eq!(jobs.to_string(), "it tells of 1000001 jobs, and may tell of 1000000");
    let sites = too_many(&|told| told.sites = vec![told.sites[0].clone(); SITES_MAX + 1]);
    assert_eq!(sites.to_string(), "it tells of 10001 sites, and may tell of 10000");
    let members = too_many(&|told| told.balances[1].members = nothing(1025));
    assert_eq!(members.to_string(), "it tells of 1025 members, and may tell of 1024");
}
