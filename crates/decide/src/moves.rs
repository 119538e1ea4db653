// SPDX-License-Identifier: Apache-2.0
//! Move: whether a job that waits somewhere goes on elsewhere. A job whose member, had it stayed alone, would run it by now is owed its
//! place at home (docs/decisions/0017); any other goes where there is room now.

/// How long a job waits abroad, beyond the time in which its files are brought in, before it is owed its place at home: a site begins
/// it within seconds, where it has room.
pub const BEGINS_WITHIN_MS: u64 = 30_000;
/// How much sooner it must go on elsewhere to be worth the move.
pub const WORTH_S: u32 = 30;

/// A job that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Whether it waits at another member's site.
    pub is_abroad: bool,
    /// Whether it has run there before, and had to leave or was failed.
    pub has_run: bool,
    /// When it would have begun, had its member stayed alone; nothing while it would still wait.
    pub began_alone_ms: Option<u64>,
    /// How long it is expected to wait where it is, in seconds.
    pub wait_s: u32,
}

/// A permitted site where it could go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// Whether it is of the job's own member.
    pub is_home: bool,
    /// How long it is expected to wait there, in seconds.
    pub wait_s: u32,
    /// How long bringing its files there is expected to take, in seconds.
    pub staging_s: u32,
}

/// Whether a job that waits abroad is owed its place at home. `staging_s` is what bringing files in may cost by the treaty.
#[must_use]
pub fn is_owed(job: &Waits, now_ms: u64, staging_s: u32) -> bool {
    // One that had to leave is there already, and is behind.
    let patience_ms = if job.has_run { 0 } else { BEGINS_WITHIN_MS + u64::from(staging_s) * 1000 };
    job.is_abroad && job.began_alone_ms.is_some_and(|began_ms| now_ms >= began_ms.saturating_add(patience_ms))
}

/// Whether the job goes on at this site sooner by enough: only where there is room now, since what others say of their queues is a
/// guess. One that would run at home by now does not leave its home.
#[must_use]
pub fn is_sooner(job: &Waits, there: &Elsewhere) -> bool {
    let stays_home = !job.is_abroad && job.began_alone_ms.is_some();
    there.wait_s == 0 && !stays_home && job.wait_s >= there.staging_s.saturating_add(WORTH_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Waits = Waits { is_abroad: true, has_run: false, began_alone_ms: None, wait_s: 60 };
    const FREE: Elsewhere = Elsewhere { is_home: false, wait_s: 0, staging_s: 0 };

    #[test]
    fn a_job_that_waits_abroad_is_owed_its_place_at_home_once_it_would_run_there() {
        let since = |began_ms| Waits { began_alone_ms: Some(began_ms), ..HERE };
        assert!(!is_owed(&HERE, 1_000_000, 0), "its shadow waits");
        assert!(!is_owed(&since(1000), 1000 + BEGINS_WITHIN_MS - 1, 0), "it may begin any moment");
        assert!(is_owed(&since(1000), 1000 + BEGINS_WITHIN_MS, 0));
        assert!(!is_owed(&since(1000), 1000 + BEGINS_WITHIN_MS, 5), "its files may still come in");
        assert!(is_owed(&Waits { has_run: true, ..since(1000) }, 1000, 5), "it is behind already");
        assert!(!is_owed(&Waits { is_abroad: false, ..since(0) }, 1_000_000, 0), "it is at home");
    }

    #[test]
    fn a_job_goes_where_there_is_room_now_if_that_is_worth_the_way() {
        assert!(is_sooner(&HERE, &FREE));
        assert!(!is_sooner(&HERE, &Elsewhere { wait_s: 1, ..FREE }), "a queue there is a guess");
        assert!(!is_sooner(&HERE, &Elsewhere { staging_s: 31, ..FREE }));
        assert!(!is_sooner(&Waits { wait_s: 29, ..HERE }, &FREE));
        let at_home = Waits { is_abroad: false, ..HERE };
        assert!(is_sooner(&at_home, &FREE));
        assert!(!is_sooner(&Waits { began_alone_ms: Some(0), ..at_home }, &FREE), "it would run by now");
    }
}
