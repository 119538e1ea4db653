// SPDX-License-Identifier: Apache-2.0
//! A question to the gates: what is asked, and the sections of facts that it is asked on.

use super::inputs::{
    DataRecord, Host, Incident, Intent, Model, Request, Serving, StopOrder, ToolCall, Training, Transfer,
};
use crate::authorize::{Action, FactSheet};

/// One question, with everything that its rules may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// G1: may a job with this purpose run at this site at all?
    Screen {
        /// What it is for.
        intent: Intent,
        /// Where it would run.
        site: Host,
    },
    /// G1: may this dataset go to this site?
    MoveData {
        /// The dataset.
        data: DataRecord,
        /// Its way.
        transfer: Transfer,
        /// Where it would go.
        site: Host,
    },
    /// G2: may this training run begin, or go on?
    Train {
        /// What it is for.
        intent: Intent,
        /// What it makes.
        model: Box<Model>,
        /// The run.
        training: Training,
        /// Where it runs.
        site: Host,
    },
    /// G3: may these weights leave the site?
    ExportWeights {
        /// What for.
        intent: Intent,
        /// Whose weights.
        model: Box<Model>,
    },
    /// G3: may this model be served, or placed on the market?
    Serve {
        /// What for.
        intent: Intent,
        /// The model.
        model: Box<Model>,
        /// How it is served.
        serving: Box<Serving>,
    },
    /// G4: may this request go to a model that is served?
    Infer {
        /// What for.
        intent: Intent,
        /// The model.
        model: Box<Model>,
        /// How it is served.
        serving: Box<Serving>,
        /// The request.
        request: Request,
    },
    /// G5: may an agent make this call?
    CallTool(ToolCall),
    /// G6: what follows from this incident?
    Incident {
        /// What the system was for.
        intent: Intent,
        /// The model in it.
        model: Box<Model>,
        /// What happened.
        incident: Incident,
    },
    /// G7: does this order stop it?
    Stop(StopOrder),
}

impl Question {
    /// What the rules are asked about.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Screen { .. } => Action::Screen,
            Self::MoveData { .. } => Action::MoveData,
            Self::Train { .. } => Action::Train,
            Self::ExportWeights { .. } => Action::ExportWeights,
            Self::Serve { .. } => Action::Serve,
            Self::Infer { .. } => Action::Infer,
            Self::CallTool(_) => Action::CallTool,
            Self::Incident { .. } => Action::Incident,
            Self::Stop(_) => Action::Stop,
        }
    }

    /// The facts as the rules read them.
    #[must_use]
    pub fn sheet(&self) -> FactSheet {
        let mut sheet = FactSheet::default();
        match self {
            Self::Screen { intent, site } => {
                intent.fill(&mut sheet);
                site.fill(&mut sheet);
            }
            Self::MoveData { data, transfer, site } => {
                data.fill(&mut sheet);
                transfer.fill(&mut sheet);
                site.fill(&mut sheet);
            }
            Self::Train { intent, model, training, site } => {
                intent.fill(&mut sheet);
                model.fill(&mut sheet);
                training.fill(&mut sheet);
                site.fill(&mut sheet);
            }
            Self::ExportWeights { intent, model } => {
                intent.fill(&mut sheet);
                model.fill(&mut sheet);
            }
            Self::Serve { intent, model, serving } => {
                intent.fill(&mut sheet);
                model.fill(&mut sheet);
                serving.fill(&mut sheet);
            }
            Self::Infer { intent, model, serving, request } => {
                intent.fill(&mut sheet);
                model.fill(&mut sheet);
                serving.fill(&mut sheet);
                request.fill(&mut sheet);
            }
            Self::CallTool(tool) => tool.fill(&mut sheet),
            Self::Incident { intent, model, incident } => {
                intent.fill(&mut sheet);
                model.fill(&mut sheet);
                incident.fill(&mut sheet);
            }
            Self::Stop(order) => order.fill(&mut sheet),
        }
        sheet
    }
}
