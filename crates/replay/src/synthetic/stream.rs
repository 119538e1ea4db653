// SPDX-License-Identifier: Apache-2.0
//! The synthetic jobs, in the order in which they come. One hour of all sites is made at a time, so that any number of them takes no memory.

use sta_decide::federation::{Checkpoint, SiteTerms, Work};

use super::{
    Shape,
    chance::Chance,
    fit::{Fit, WEEK_H},
};
use crate::federate::Job;

const HOUR_MS: u64 = 3_600_000;

/// The jobs of a [`Shape`], by [`Fit::jobs`].
#[derive(Debug)]
pub struct Jobs<'a> {
    fit: &'a Fit,
    homes: Vec<Home>,
    checkpoint: Checkpoint,
    movable_percent: u32,
    /// Which hour is made next.
    hour: u64,
    /// Jobs of the hour that is handed out, the last one first.
    made: Vec<Job>,
    left: u64,
}

/// Where jobs come.
#[derive(Debug)]
struct Home {
    chance: Chance,
    /// How many come in an average hour.
    rate: f64,
    /// By how many hours its clock is ahead.
    ahead_h: u64,
    /// The factor of the spell that goes on.
    spell: f64,
}

impl<'a> Jobs<'a> {
    pub(super) fn new(fit: &'a Fit, shape: &Shape, sites: &[SiteTerms]) -> Self {
        let of_processor = shape.load * 3600.0 / fit.parameters().processor_mean_s;
        let home = |(number, site): (u64, &SiteTerms)| {
            let mut chance = Chance::of(shape.seed, number);
            let spell = chance.gamma(fit.bursts.spell_variance);
            let ahead_h =
                u64::from(site.member) * u64::from(shape.clocks_h) / u64::from(shape.members.max(1));
            Home { chance, rate: of_processor * f64::from(site.processors), ahead_h, spell }
        };
        Self {
            fit,
            homes: (0..).zip(sites).map(home).collect(),
            checkpoint: Checkpoint::Every(shape.checkpoint_ms),
            movable_percent: shape.movable_percent,
            hour: 0,
            made: Vec::new(),
            left: shape.jobs,
        }
    }

    /// Makes the jobs of an hour.
    fn make(&mut self) {
        let (bursts, hour) = (self.fit.bursts, self.hour);
        let keeps = 1.0 - 1.0 / bursts.spell_hours;
        for (number, home) in (0u16..).zip(&mut self.homes) {
            if home.chance.part() >= keeps {
                home.spell = home.chance.gamma(bursts.spell_variance);
            }
            let habit = self.fit.hours[((hour + home.ahead_h) % WEEK_H as u64) as usize];
            let mean = home.rate * habit * home.spell * home.chance.gamma(bursts.hour_variance);
            for _ in 0..home.chance.poisson(mean) {
                let submit_ms = hour * HOUR_MS + home.chance.below(HOUR_MS);
                let size = self.fit.draw(&mut home.chance);
                // Drawn whatever the share is, so that a larger one keeps all jobs movable that were.
                let movable = home.chance.below(100) < u64::from(self.movable_percent);
                let work = Work {
                    home: number,
                    processors: size.processors,
                    estimate_ms: size.estimate_ms,
                    group: u8::from(movable),
                    checkpoint: self.checkpoint,
                };
                self.made.push(Job { submit_ms, run_ms: size.run_ms, work });
            }
        }
        // Of one moment those of the first sites come first, in the order in which they were drawn.
        self.made.reverse();
        self.made.sort_by_key(|job| std::cmp::Reverse(job.submit_ms));
        self.hour += 1;
    }
}

impl Iterator for Jobs<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        self.left = self.left.checked_sub(1)?;
        loop {
            if let Some(job) = self.made.pop() {
                return Some(job);
            }
            self.make();
        }
    }
}
