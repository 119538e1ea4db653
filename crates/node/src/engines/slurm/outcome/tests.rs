// SPDX-License-Identifier: Apache-2.0
//! Every bad day has one end.

use super::{
    super::stamps::{Began, Ended},
    *,
};

fn seen(end: End, seconds: i64) -> TaskSeen {
    let started_at = Timestamp::from_second(1_000).unwrap();
    TaskSeen {
        end,
        reason: "None".to_owned(),
        nodes: "jl2".to_owned(),
        started_at: Some(started_at),
        ended_at: Some(started_at + SignedDuration::from_secs(seconds)),
        gone_at: None,
        exit: None,
        cpu_ms: None,
        memory_bytes: None,
        cancelled_by: None,
    }
}

fn stamps(seconds: i64, how: &str) -> Stamps {
    Stamps {
        began: Began::read("1000250000000 7 jl2"),
        limit_reached: false,
        ended: Ended::read(&format!("{}250000000 {how} 4096 no 0m1.500s 0m0.250s", 1_000 + seconds)),
    }
}

fn known<'a>(seen: Option<&'a TaskSeen>, stamps: &'a Stamps) -> Known<'a> {
    let now = Timestamp::from_second(2_000).unwrap();
    Known { seen, stamps, cancel: false, notice: false, doomed: None, silent: false, alive_at: None, now }
}

#[test]
fn stamps_are_exact_and_tell_a_code_from_a_signal() {
    for (how, exit) in
        [("code 0", Exit::Code(0)), ("code 143", Exit::Code(143)), ("signal 15", Exit::Signal(15))]
    {
        let measured = known(Some(&seen(End::Failed, 11)), &stamps(10, how)).measure(0);
        assert_eq!((measured.end.exit, measured.end.wall_ms), (exit, 10_000));
        assert_eq!((measured.cpu_ms, measured.memory_peak_bytes), (1_750, 4_096));
        assert_eq!(measured.sources, UsageSources::all(UsageSource::JobStamps));
    }
}

#[test]
fn who_claims_less_time_than_slurm_counted_pays_what_slurm_counted_unless_the_controller_was_silent() {
    let (counted, stamps) = (seen(End::Completed, 60), stamps(10, "code 0"));
    let measured = known(Some(&counted), &stamps).measure(0);
    assert_eq!((measured.end.wall_ms, measured.sources.wall), (60_000, UsageSource::Scheduler));
    let silent = Known { silent: true, ..known(Some(&counted), &stamps) }.measure(0);
    assert_eq!((silent.end.wall_ms, silent.sources.wall), (10_000, UsageSource::JobStamps));
}

#[test]
fn every_bad_day_has_one_end_and_a_sentence() {
    let (stamped, none) = (stamps(10, "code 0"), Stamps::default());
    let begun = Stamps { ended: None, ..stamped.clone() };
    let killed = Stamps { ended: stamps(10, "signal 9").ended, ..stamped.clone() };
    let fault = |text: &str| Exit::SiteFault(text.to_owned());
    let cases = [
        (End::OutOfMemory, &killed, Exit::MemoryLimit),
        (End::OutOfMemory, &stamped, Exit::Code(0)),
        (End::TimeLimit, &begun, Exit::TimeLimit),
        (End::NodeFailed, &begun, fault("the site's node jl2 failed while the job ran")),
        (End::Preempted, &begun, fault("the site took the job's place for one of higher priority")),
        (End::Cancelled, &begun, fault("the site cancelled the job")),
        (End::Other("DEADLINE".to_owned()), &begun, fault("the site ended the job: DEADLINE")),
        (End::Failed, &begun, Exit::Signal(9)),
        (
            End::Failed,
            &none,
            fault("the site could not start the job; if this goes on, its disk or quota may be full"),
        ),
    ];
    for (end, stamps, exit) in cases {
        assert_eq!(known(Some(&seen(end.clone(), 10)), stamps).measure(0).end.exit, exit, "{end:?}");
    }
    let ended = seen(End::Cancelled, 10);
    let cancelled = Known { cancel: true, ..known(Some(&ended), &begun) };
    assert_eq!(cancelled.measure(0).end.exit, Exit::Cancelled);
    let late = seen(End::Completed, 10);
    let first = Known { cancel: true, ..known(Some(&late), &stamped) };
    assert_eq!(first.measure(0).end.exit, Exit::Code(0), "a job that ends before its cancellation has ended");
    let lost = known(None, &begun).measure(0).end.exit;
    assert_eq!(lost, fault("the site's scheduler lost the job: it does not know it any more"));
    assert_eq!(known(None, &stamped).measure(0).end.exit, Exit::Code(0));
    let mut unwritable = seen(End::Failed, 0);
    unwritable.exit = Some((0, 53));
    assert_eq!(known(Some(&unwritable), &none).measure(0).end.exit, fault(FULL));
}

#[test]
fn what_a_job_did_by_itself_stays_whatever_befell_its_node_later() {
    let (stamped, lost) = (stamps(10, "code 3"), seen(End::NodeFailed, 10));
    assert_eq!(known(Some(&lost), &stamped).measure(0).end.exit, Exit::Code(3));
    let told = Ended { told: true, ..stamped.ended.unwrap() };
    let told = Stamps { ended: Some(told), ..stamped };
    let fault = Exit::SiteFault("the site's node jl2 failed while the job ran".to_owned());
    assert_eq!(known(Some(&lost), &told).measure(0).end.exit, fault);
}

#[test]
fn only_what_never_began_and_was_not_ended_on_purpose_may_begin_again() {
    let (none, begun) = (Stamps::default(), Stamps { ended: None, ..stamps(10, "code 0") });
    let may = |end: End, stamps: &Stamps, silent: bool| {
        Known { silent, ..known(Some(&seen(end, 0)), stamps) }.measure(0).may_begin_again
    };
    assert!(may(End::Failed, &none, false) && may(End::NodeFailed, &none, false));
    assert!(!may(End::Failed, &begun, true) && !may(End::Completed, &none, true));
}

#[test]
fn what_its_node_turned_away_may_begin_again_and_what_somebody_ended_may_not() {
    let (none, begun) = (Stamps::default(), Stamps { ended: None, ..stamps(10, "code 0") });
    let may = |nodes: &str, cancelled_by: Option<u32>, stamps: &Stamps, silent: bool| {
        let seen = TaskSeen { nodes: nodes.to_owned(), cancelled_by, ..seen(End::Cancelled, 0) };
        Known { silent, ..known(Some(&seen), stamps) }.measure(0).may_begin_again
    };
    assert!(may("jl2", Some(0), &none, false) && may("jl2", None, &none, false));
    assert!(!may("jl2", Some(1001), &none, false), "its own account ended it");
    assert!(!may("", Some(0), &none, false), "the operator ended what waited");
    assert!(!may("jl2", Some(0), &begun, false), "the operator ended what ran");
    assert!(may("", None, &none, true), "the controller was away");
}

#[test]
fn a_guest_under_notice_has_left_unless_it_came_to_an_end_of_its_own() {
    let (none, itself) = (Stamps::default(), stamps(10, "code 3"));
    let begun = Stamps { ended: None, ..itself.clone() };
    let told = |how: &str| {
        let stamps = stamps(10, how);
        Stamps { ended: stamps.ended.map(|ended| Ended { told: true, ..ended }), ..stamps }
    };
    let exit = |end: End, stamps: &Stamps, cancel: bool| {
        Known { notice: true, cancel, ..known(Some(&seen(end, 10)), stamps) }.measure(0).end.exit
    };
    for (end, stamps) in [
        (End::Failed, told("code 75")),
        (End::Failed, told("signal 9")),
        (End::Cancelled, none.clone()),
        (End::Completed, none.clone()),
        (End::Cancelled, begun.clone()),
    ] {
        assert_eq!(exit(end.clone(), &stamps, false), Exit::Reclaimed, "{end:?} {stamps:?}");
    }
    assert_eq!(exit(End::Completed, &told("code 0"), false), Exit::Code(0));
    assert_eq!(exit(End::Failed, &itself, false), Exit::Code(3), "nobody had asked it yet");
    assert_eq!(exit(End::Cancelled, &told("signal 15"), true), Exit::Cancelled);
    assert_eq!(exit(End::Cancelled, &none, true), Exit::Cancelled);
    assert!(matches!(exit(End::NodeFailed, &told("signal 9"), false), Exit::SiteFault(_)));
}

#[test]
fn what_never_began_used_nothing() {
    let measured = known(Some(&seen(End::Cancelled, 10)), &Stamps::default()).measure(3);
    assert_eq!((measured.end.index, measured.end.wall_ms), (3, 0));
    assert_eq!(measured.sources, UsageSources::all(UsageSource::NotMeasured));
}
