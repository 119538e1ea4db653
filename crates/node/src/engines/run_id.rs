// SPDX-License-Identifier: Apache-2.0
//! What an engine knows a job by: the job and the number of the attempt.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sta_protocol::ids::{IdError, JobId};

/// One attempt at a job. Written as the job's id, and from the second attempt on with its number: `ID.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    /// The job.
    pub job: JobId,
    /// Which attempt, from 1 on.
    pub attempt: u32,
}

impl From<JobId> for RunId {
    fn from(job: JobId) -> Self {
        Self { job, attempt: 1 }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            1 => write!(f, "{}", self.job),
            later => write!(f, "{}.{later}", self.job),
        }
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let Some((job, attempt)) = text.split_once('.') else {
            return Ok(Self::from(text.parse::<JobId>()?));
        };
        // What is no number of a later attempt makes the whole no id, with the error of one.
        match attempt.parse() {
            Ok(attempt) if attempt > 1 => Ok(Self { job: job.parse()?, attempt }),
            Ok(_) | Err(_) => text.parse::<JobId>().map(Self::from),
        }
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_written_in_one_way() {
        let job = JobId::new(1, [2; 10]);
        for attempt in [1, 2, 17] {
            let id = RunId { job, attempt };
            assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        }
        for wrong in [format!("{job}.1"), format!("{job}."), format!("{job}.x"), ".2".to_owned()] {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }
}
