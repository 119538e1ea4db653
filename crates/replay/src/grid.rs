// SPDX-License-Identifier: Apache-2.0
//! Many studies at once: scenarios with other loads, other movable shares and other policies, each a cell, on all processors.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    report::{CurvePoint, Report},
    scenario::{RawScenario, Scenario, ScenarioError},
    study::{Policy, Question, StudyError, study},
};

/// The most cells of a grid.
pub const CELLS_MAX: usize = 10_000;
/// The movable shares of a curve, in percent.
pub const CURVE_PERCENT: [u32; 6] = [0, 10, 25, 50, 75, 100];

/// One study of a grid.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The file that the scenario is written in.
    pub path: PathBuf,
    /// The loads of its sites, one for all or one for each; none as they are written.
    pub loads: Vec<f64>,
    /// How many of a hundred jobs may run anywhere; none as it is written.
    pub movable_percent: Option<u32>,
    /// How they share.
    pub policy: Policy,
}

/// Why a cell has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The scenario cannot be.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// It cannot be played.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// Loads for other sites than there are.
    #[error(
        "{given} loads are given for {sites} sites: give one for all, or one for each in the order of the file, such as 0.50:1.20"
    )]
    Loads {
        /// How many.
        given: usize,
        /// How many sites.
        sites: usize,
    },
}

impl Cell {
    /// Its scenario, as it is written but for what the cell says.
    fn scenario(&self, raw: &RawScenario) -> Result<Scenario, CellError> {
        let mut raw = raw.clone();
        let (given, sites) = (self.loads.len(), raw.sites.len());
        if given > 1 && given != sites {
            return Err(CellError::Loads { given, sites });
        }
        let loads = self.loads.iter().cycle().take(if given == 0 { 0 } else { sites });
        for (site, load) in raw.sites.iter_mut().zip(loads) {
            (site.load, site.processors) = (Some(*load), None);
        }
        if let Some(percent) = self.movable_percent {
            raw.movable_percent = Some(percent);
            raw.classes.clear();
        }
        Ok(Scenario::of(&raw, &self.path)?)
    }

    /// Its study; the policy of the question is the cell's.
    ///
    /// # Errors
    /// The scenario cannot be read so, or cannot be played.
    pub fn study(&self, question: &Question) -> Result<Report, CellError> {
        let raw = RawScenario::open(&self.path)?;
        let scenario = self.scenario(&raw)?;
        let report = study(&scenario, &Question { policy: self.policy, ..question.clone() })?;
        Ok(Report { loads: self.loads.clone(), ..report })
    }
}

/// Studies all cells, the first that fails ending it; `done` is told of each.
///
/// # Errors
/// That of the first cell, in their order, that failed, with its place.
pub fn studies(
    cells: &[Cell],
    question: &Question,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Report>, (usize, CellError)> {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let answers: Mutex<Vec<Option<Result<Report, CellError>>>> =
        Mutex::new(cells.iter().map(|_| None).collect());
    let work = || {
        while failed.load(Ordering::Relaxed) == 0 {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(place) else { return };
            let answer = cell.study(question);
            failed.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
            // A thread that panicked ends the program when the scope joins it.
            if let Ok(mut answers) = answers.lock() {
                answers[place] = Some(answer);
            }
            done();
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(cells.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let placed = answers.into_iter().enumerate().filter_map(|(place, answer)| Some((place, answer?)));
    placed.map(|(place, answer)| answer.map_err(|error| (place, error))).collect()
}

/// The waits and savings of a scenario at other movable shares.
///
/// # Errors
/// As [`Cell::study`].
pub fn curve(path: &Path, loads: &[f64], question: &Question) -> Result<Vec<CurvePoint>, CellError> {
    let cell = |percent| Cell {
        path: path.to_owned(),
        loads: loads.to_vec(),
        movable_percent: Some(percent),
        policy: question.policy,
    };
    let cells: Vec<Cell> = CURVE_PERCENT.into_iter().map(cell).collect();
    let point = |(percent, report): (u32, Report)| CurvePoint {
        movable_percent: percent.into(),
        wait_mean_s: report.total.wait_mean_s,
        saving_percent: report.savings.iter().map(|saving| saving.saving_percent).collect(),
    };
    let reports = studies(&cells, question, &|| ()).map_err(|(_, error)| error)?;
    Ok(CURVE_PERCENT.into_iter().zip(reports).map(point).collect())
}
