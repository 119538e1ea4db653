// SPDX-License-Identifier: Apache-2.0
//! A cautious Bayesian bound on the probability of harm, which fails closed.
//!
//! A guard looks at requests that are described by a few structural factors (reads untrusted input, reads
//! secrets, sends outside, ...). It holds a finite set of theories of where harm comes from, learns from
//! labelled events which of them can still be true, and bounds the harm of a request by the worst of those.
//! What is above a threshold that people chose is held for a person.
//!
//! ```
//! use sta_guardrail::{
//!     budget::HarmBudget,
//!     evidence::{Evidence, Label, Source},
//!     features::Factors,
//!     guard::Guard,
//!     settings::Settings,
//!     theories::Theories,
//!     tightening::Tightening,
//! };
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let factors = Factors::new(&["reads untrusted input", "reads secrets", "sends outside"])?;
//! let mut guard = Guard::new(Theories::conjunctions(factors.count())?, Settings::new(0.01, 0.05)?);
//! let mut budget = HarmBudget::new(0.1)?;
//!
//! // Nothing has been shown yet, so what sends outside is held, and the reason can be read.
//! let x = factors.for_decision(|factor| Some(factor == "sends outside"));
//! assert!(matches!(guard.assess(x, &budget).tightening, Tightening::Hold(_)));
//! println!("{}", guard.reason(x).ok_or("a theory")?.theory.describe(&factors));
//!
//! // An evaluation shows a hundred exposures without harm.
//! let features = factors.for_evidence(|factor| Some(factor == "sends outside"))?;
//! for _ in 0..100 {
//!     guard.learn(&Evidence { features, label: Label::NoHarm, source: Source::COMPLETE });
//! }
//! let assessment = guard.assess(x, &budget);
//! assert_eq!(assessment.tightening, Tightening::Unchanged);
//! budget.spend(assessment.bound.ok_or("a bound")?)?;
//! # Ok(()) }
//! ```
//!
//! | module | is | source |
//! | --- | --- | --- |
//! | [`features`] | factors, and sets of them | |
//! | [`theory`], [`theories`] | one theory; the family of monotone conjunctions and its prior by description length | |
//! | [`evidence`] | a label with the source that gave it, and nothing else | consequence invariance, arXiv 2606.29657 |
//! | [`posterior`] | Bayes' rule over finitely many theories; likelihoods of any kind | |
//! | [`bound`] | the posterior mean (no bound), the i.i.d. bound, the cautious set | arXiv 2408.05284, Propositions 3.4 and 4.6 |
//! | [`ratio_set`] | the prior-posterior-ratio set with running intersection, which the guard uses | Proposition 4.2; arXiv 2006.04347 |
//! | [`budget`] | the harm budget of a window | union bound |
//! | [`alarm`] | an e-process against "the bounds were valid" | Ville's inequality |
//! | [`guard`] | all of it together | |
//! | [`tightening`] | what a guard can say: nothing, or hold | |
//!
//! # What is guaranteed
//!
//! **The bound.** If one of the theories describes how harm comes about given the factors, and labels follow
//! the reporting channel as given, then with probability at least 1 - delta, for all times and all requests
//! at once, the true probability of harm is at most the bound. It does not matter which theory is true, how
//! requests are chosen, or that the guard's own verdicts decide what is seen.
//!
//! **The budget.** Under the same assumptions the probability of any harm among what a budget B let pass in
//! its window is at most delta + B.
//!
//! **The alarm.** Where the bounds are valid it is raised with probability at most 1 %, ever. This needs no
//! theory to be true, only that no harm is reported where there was none.
//!
//! **By construction.** A guard cannot make a verdict looser: its answer has no word for "allow"
//! ([`tightening::Tightening`]). It fails closed: where no theory is left or the alarm was raised, everything
//! is held. A fact that is missing counts against a request. It learns from labels alone:
//! [`evidence::Evidence`] has no place for acceptance, revenue or complaints. The same evidence in the same
//! order gives the same bits, on every platform and for every order of the theories: the crate has no
//! standard library, so no clock, no file, no chance and no function of the mathematics library, and its sums
//! do not depend on their order.
//!
//! # What is not guaranteed
//!
//! - That one of the theories is true. Where none is, the alarm and the empty set catch it, mostly, after
//!   harm has happened.
//! - Anything about harm that the labels do not count, that the factors do not show, or that is reported by
//!   nobody at a rate that nobody knows.
//! - Anything, if labels are forged, or if evidence is chosen by its label: events without harm have to be
//!   learnt as much as those with harm.
//! - Anything about a long session by the threshold alone. Even a guard that knows the truth lets harm of a
//!   tenth pass ten times. That is what the budget is for.
//! - Anything about the intentions of a model. This is not a Scientist AI and gives none of the guarantees
//!   about training of arXiv 2606.29657.
#![no_std]

extern crate alloc;

pub mod alarm;
pub mod bound;
pub mod budget;
mod columns;
pub mod evidence;
pub mod features;
pub mod guard;
mod live;
pub mod posterior;
pub mod ratio_set;
pub mod settings;
mod sum;
pub mod theories;
pub mod theory;
pub mod tightening;
