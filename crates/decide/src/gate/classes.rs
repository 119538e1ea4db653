// SPDX-License-Identifier: Apache-2.0
//! The classes of the law that rules find before the gates are asked, and which way each of them turns an answer.

use std::collections::BTreeSet;

use crate::authorize::{Action, Fact, FactSheet};

/// A class that rules can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Where other rules read it.
    pub path: &'static str,
    /// The question whose rules set it.
    pub found_by: Action,
    /// Whether it turns answers to the looser side. Such a class holds only on the evidence that its rule demands, and only
    /// in the layer that finds it; every other class holds everywhere as soon as one layer finds it.
    pub loosens: bool,
}

const fn class(path: &'static str, found_by: Action, loosens: bool) -> Class {
    Class { path, found_by, loosens }
}

/// Every class. A class that no rule in force sets is false.
pub const CLASSES: [Class; 8] = [
    class("class.high_risk", Action::Classify, false),
    class("class.general_purpose", Action::Classify, false),
    class("class.systemic", Action::Classify, false),
    class("class.provider", Action::Classify, false),
    class("class.system_provider", Action::Classify, false),
    class("class.open_exempt", Action::Classify, true),
    class("class.research_only", Action::Classify, true),
    class("class.adequate", Action::ClassifyTransfer, true),
];

/// Whether rules on that action may set the class at `path`.
pub(super) fn is_class_of(action: Action, path: &str) -> bool {
    CLASSES.iter().any(|class| class.found_by == action && class.path == path)
}

/// Whether the class at `path` turns answers to the looser side.
pub(super) fn is_loosening(path: &str) -> bool {
    CLASSES.iter().any(|class| class.loosens && class.path == path)
}

/// The question that must be asked before this one, with the sections it reads.
pub(super) fn asked_before(action: Action) -> Option<(Action, &'static [&'static str])> {
    match action {
        Action::Train | Action::ExportWeights | Action::Serve | Action::Infer | Action::Incident => {
            Some((Action::Classify, super::sections(Action::Classify)))
        }
        Action::MoveData => Some((Action::ClassifyTransfer, super::sections(Action::ClassifyTransfer))),
        Action::Run
        | Action::Process
        | Action::Export
        | Action::Release
        | Action::Classify
        | Action::ClassifyTransfer
        | Action::Screen
        | Action::CallTool
        | Action::Stop => None,
    }
}

/// The sheet with the section `class` as found.
pub(super) fn with_classes(sheet: &FactSheet, found_by: Action, found: &BTreeSet<&str>) -> FactSheet {
    let mut sheet = sheet.clone();
    sheet.remove("class");
    for class in CLASSES.iter().filter(|class| class.found_by == found_by) {
        sheet.set(class.path, Fact::Flag(found.contains(class.path)));
    }
    sheet
}
