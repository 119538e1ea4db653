// SPDX-License-Identifier: Apache-2.0
//! What the gates are told: one struct for each section of facts, every fact with the one who vouches for it.
//!
//! A section has no default. `cautious()` is the section of which nothing is known: each fact has the value that counts most
//! against the request. Fill what you know over it, and what you forget refuses instead of permitting.

use sta_protocol::{
    gate::Provenance,
    incident::IncidentKind,
    model::{DocumentKind, Modality},
};

use super::words::{INCIDENT_KINDS, Instrument, MODALITIES, OperatorForm, Purpose, Region, Suite};
use crate::authorize::{Fact, FactSheet};

/// A fact and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<T> {
    /// The fact.
    pub value: T,
    /// Who vouches for it.
    pub provenance: Provenance,
}

/// A fact that only the one who asks vouches for.
pub fn declared<T>(value: T) -> Known<T> {
    Known { value, provenance: Provenance::Declared }
}

/// A fact out of a signed register: the treaty, a dataset's or a model's record.
pub fn registry<T>(value: T) -> Known<T> {
    Known { value, provenance: Provenance::Registry }
}

/// A fact out of a signed statement of somebody else.
pub fn attested<T>(value: T) -> Known<T> {
    Known { value, provenance: Provenance::Attested }
}

/// A fact that the node measured itself.
pub fn metered<T>(value: T) -> Known<T> {
    Known { value, provenance: Provenance::Metered }
}

/// What can be a fact.
trait IntoFact {
    fn fact(&self) -> Fact;
}

impl IntoFact for bool {
    fn fact(&self) -> Fact {
        Fact::Flag(*self)
    }
}

impl IntoFact for i64 {
    fn fact(&self) -> Fact {
        Fact::Number(*self)
    }
}

impl IntoFact for String {
    fn fact(&self) -> Fact {
        Fact::Text(self.clone())
    }
}

macro_rules! word_facts {
    ($($name:ident)*) => {$(
        impl IntoFact for $name {
            fn fact(&self) -> Fact {
                Fact::Text(self.as_str().to_owned())
            }
        }
    )*};
}

macro_rules! word_list_facts {
    ($($name:ident)*) => {$(
        impl IntoFact for Vec<$name> {
            fn fact(&self) -> Fact {
                let mut words: Vec<String> = self.iter().map(|word| word.as_str().to_owned()).collect();
                words.sort_unstable();
                words.dedup();
                Fact::Words(words)
            }
        }
    )*};
}

word_facts! { Purpose OperatorForm Instrument Region }
word_list_facts! { Modality Suite DocumentKind IncidentKind }

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident $section:literal {
        $($(#[$fact_doc:meta])* $fact:ident: $kind:ty = $cautious:expr,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name {
                $($(#[$fact_doc])* pub $fact: Known<$kind>,)*
            }

            impl $name {
                /// The section of which nothing is known: every fact counts against the request.
                #[must_use]
                pub fn cautious() -> Self {
                    Self { $($fact: declared($cautious),)* }
                }

                /// Writes the section's facts into a sheet.
                pub(super) fn fill(&self, sheet: &mut FactSheet) {
                    $(sheet.set_known(concat!($section, ".", stringify!($fact)), self.$fact.value.fact(), self.$fact.provenance);)*
                }
            }
        )*

        /// Every fact that a struct of this file supplies, as `section.name`.
        pub const SUPPLIED: &[&str] = &[$($(concat!($section, ".", stringify!($fact)),)*)*];
    };
}

sections! {
    /// What is wanted, and where it is to have its effect.
    Intent "intent" {
        /// What it is for.
        purpose: Purpose = Purpose::Unlisted,
        /// An exception of Art. 5(1)(d), (f), (g) or (h) is claimed.
        exception_claimed: bool = false,
        /// Research, testing or development before anything is placed on the market or put into service.
        research_only: bool = false,
        /// Placed on the market, put into service or used in the European Union.
        market_eu: bool = true,
        /// This very act places it on the market.
        place_on_market: bool = true,
        /// It leaves research: handed to others, or tested under real conditions.
        leaves_research: bool = true,
        /// All its data are of class open or internal.
        open_data_only: bool = false,
    }
    /// The site where it happens, and who its operator answers to.
    Host "site" {
        /// The site.
        id: String = "unknown".to_owned(),
        /// Its country, as the treaty's jurisdictions have it.
        country: String = "unknown".to_owned(),
        /// It lies in the European Economic Area.
        in_eea: bool = false,
        /// What its operator is in law.
        operator_form: OperatorForm = OperatorForm::Unknown,
        /// The country of the operator's ultimate parent.
        parent_country: String = "unknown".to_owned(),
        /// A United States entity, parent or presence with possession, custody or control.
        us_nexus: bool = true,
        /// What lies there is ciphertext only, at rest and in use.
        ciphertext_only: bool = false,
        /// The keys are held by an entity of a member of the treaty that no third country reaches.
        keys_held_by_member: bool = false,
        /// The Union assurance level that the operator claims (COM(2026) 502, Annex II), 1 to 4; 0 for none.
        assurance_level: i64 = 0,
    }
    /// One dataset.
    DataRecord "data" {
        /// The dataset.
        id: String = "unknown".to_owned(),
        /// Its class is open or internal.
        open: bool = false,
        /// Personal data.
        personal: bool = true,
        /// Special categories (GDPR Art. 9).
        special_category: bool = true,
        /// A condition of Art. 9(2) is recorded.
        article_nine_basis: bool = false,
        /// Where the people live whom it is about.
        subject_region: Region = Region::Eea,
        /// Human-resources data of an employer that PIPEDA does not cover.
        employer_outside_pipeda: bool = true,
        /// The processing is likely to be a high risk for people (GDPR Art. 35).
        high_risk_for_people: bool = true,
        /// Its impact assessment is recorded.
        impact_assessment: bool = false,
        /// A contract with the processor is recorded (GDPR Art. 28).
        processor_contract: bool = false,
        /// It comes from an enterprise in Québec.
        from_quebec: bool = true,
        /// The privacy impact assessment of s. 17 is recorded.
        quebec_assessment: bool = false,
        /// It serves decisions made by machine alone.
        automated_decision: bool = true,
        /// The people were told so (s. 12.1).
        automated_decision_notice: bool = false,
        /// The collecting organization is one that PIPEDA covers.
        under_pipeda: bool = true,
        /// A contract or other means gives comparable protection at the site (Schedule 1, 4.1.3).
        comparable_protection: bool = false,
    }
    /// The way of a dataset to a site.
    Transfer "transfer" {
        /// The country it goes to.
        destination: String = "unknown".to_owned(),
        /// The site lies outside the European Economic Area, or is administered from outside.
        outside_eea: bool = true,
        /// What it rests on.
        instrument: Instrument = Instrument::None,
        /// The adequacy register has a current entry for the destination.
        adequacy_listed: bool = false,
        /// A module of the standard clauses is signed.
        clauses_signed: bool = false,
        /// A transfer impact assessment is recorded.
        impact_assessed: bool = false,
        /// It goes on from there to a third country.
        onward: bool = true,
        /// The onward transfer has an instrument of its own.
        onward_instrument: bool = false,
        /// It happens more than once.
        recurring: bool = true,
        /// It leaves Québec.
        leaves_quebec: bool = true,
    }
    /// A model, or the one that a training run will make. Compute is in teraFLOP (10^12 operations).
    Model "model" {
        /// The model.
        id: String = "unknown".to_owned(),
        /// Cumulative training compute, base models and their own included; the higher of declared and metered.
        teraflop: i64 = COMPUTE_UNKNOWN,
        /// What it will be when the run ends as planned.
        teraflop_projected: i64 = COMPUTE_UNKNOWN,
        /// Of which this modification of a base model.
        modification_teraflop: i64 = COMPUTE_UNKNOWN,
        /// The base model's compute is known.
        base_known: bool = false,
        /// The base model's compute; 0 where there is no base model or it is not known.
        base_teraflop: i64 = 0,
        /// The base model is one with systemic risk.
        base_systemic: bool = false,
        /// What it takes in.
        takes: Vec<Modality> = MODALITIES.to_vec(),
        /// What it generates.
        generates: Vec<Modality> = MODALITIES.to_vec(),
        /// Its images, video or audio can show real people.
        depicts_persons: bool = true,
        /// Under a free and open-source licence.
        open_licence: bool = false,
        /// Weights, architecture and how to use it are public.
        openly_published: bool = false,
        /// Its provider is established in the European Union.
        provider_in_eu: bool = false,
        /// A representative in the Union has a written mandate (Art. 54).
        authorised_representative: bool = false,
        /// It profiles natural persons.
        profiling: bool = true,
        /// An assessment under Art. 6(4) says which of Art. 6(3)(a) to (d) applies, and it is registered (Art. 49(2)).
        derogation_documented: bool = false,
        /// The safety component of a product of Annex I that a third party must assess.
        annex_one_component: bool = true,
        /// The deployer put its name on it.
        rebranded: bool = true,
        /// The deployer modified it substantially.
        substantially_modified: bool = true,
        /// The deployer changed its purpose.
        purpose_changed: bool = true,
        /// The deployer has a conformity assessment of its own.
        own_conformity: bool = false,
        /// Evaluations that passed, of these weights, not too old.
        evaluations: Vec<Suite> = Vec::new(),
        /// There is one, whatever its suite, that the treaty asks of weights which leave or serve.
        evaluation_current: bool = false,
        /// The security of weights and site is attested (Art. 55(1)(d)).
        security_attested: bool = false,
        /// The documents of its record.
        documents: Vec<DocumentKind> = Vec::new(),
        /// How long its documents are kept, in years.
        documents_kept_years: i64 = 0,
        /// The Commission was notified (Art. 52(1)).
        commission_notified: bool = false,
        /// Its provider signed the Code of Practice.
        code_of_practice_signed: bool = false,
        /// A general-purpose model placed on the market before 2 August 2025.
        legacy: bool = false,
        /// The measures of Canada's voluntary code are all ticked.
        voluntary_code_complete: bool = false,
    }
    /// A training run.
    Training "training" {
        /// It runs.
        running: bool = true,
        /// The run's compute so far or as planned, whichever is higher, its base models included.
        teraflop: i64 = COMPUTE_UNKNOWN,
        /// The highest compute up to which a named person has released it; 0 for none.
        released_to_teraflop: i64 = 0,
        /// A named person has released it beyond a third of its base model.
        released_beyond_third: bool = false,
    }
    /// How a model is served.
    Serving "serve" {
        /// People use it directly.
        to_persons: bool = true,
        /// They are told that it is a machine.
        discloses_machine: bool = false,
        /// It makes synthetic images, video, audio or text.
        synthetic_media: bool = true,
        /// They carry a mark that machines can read.
        marks_media: bool = false,
        /// It makes deep fakes.
        deep_fakes: bool = true,
        /// They are labelled.
        labels_deep_fakes: bool = false,
        /// On the market before 2 August 2026.
        legacy: bool = false,
        /// Its use is logged.
        logged: bool = false,
        /// How long the log is kept, in days.
        log_kept_days: i64 = 0,
        /// Remote biometric identification.
        remote_biometric: bool = true,
        /// Its log has start and end, reference database, matched input and verifiers (Art. 12(3)).
        biometric_log_complete: bool = false,
        /// How many people verify a match.
        biometric_verifiers: i64 = 0,
        /// A named person oversees it.
        overseer_named: bool = false,
        /// The way to stop it was tried.
        stop_tested: bool = false,
        /// A public authority deploys it.
        public_deployer: bool = true,
        /// The deployer registered it in the EU database (Art. 49(3)).
        deployer_registered: bool = false,
        /// It is used at a workplace.
        workplace: bool = true,
        /// Workers and their representatives were told (Art. 26(7)).
        workers_informed: bool = false,
        /// It decides, or helps to decide, on people.
        decides_on_persons: bool = true,
        /// They were told (Art. 26(11)).
        persons_informed: bool = false,
        /// An assessment of the impact on fundamental rights is needed (Art. 27).
        rights_assessment_needed: bool = true,
        /// It was made and notified.
        rights_assessment_notified: bool = false,
        /// What the deployer is in law.
        deployer_form: OperatorForm = OperatorForm::FederalInstitution,
        /// It makes or supports an administrative decision.
        administrative_decision: bool = true,
        /// Its algorithmic impact assessment is published.
        algorithmic_assessment_published: bool = false,
        /// The level of that assessment, 1 to 4.
        algorithmic_impact_level: i64 = 4,
        /// A person makes the final decision.
        human_decides: bool = false,
    }
    /// A request to a model that is served.
    Request "request" {
        /// The serving of this model passed its gate and nothing has changed since.
        served_under_gate: bool = false,
        /// The caller may use it.
        caller_allowed: bool = false,
    }
    /// A call of a tool by an agent.
    ToolCall "tool" {
        /// The tool.
        name: String = "unknown".to_owned(),
        /// The agent's owner has listed it.
        listed: bool = false,
        /// The agent has read what strangers wrote.
        untrusted_input: bool = true,
        /// The agent has read secrets or personal data.
        secret_read: bool = true,
        /// The call sends something out of the site.
        external_send: bool = true,
        /// The call changes or destroys something that cannot be brought back.
        irreversible: bool = true,
        /// A named person approved this call.
        approved: bool = false,
    }
    /// An incident.
    Incident "incident" {
        /// What happened; several kinds may be true.
        kinds: Vec<IncidentKind> = INCIDENT_KINDS.to_vec(),
        /// The deployer has found a cause in the system, or cannot rule one out.
        caused_by_system: bool = true,
        /// A breach of personal data is likely to be a risk for people.
        risk_for_people: bool = true,
        /// An order of another country rests on an international agreement in force.
        treaty_basis: bool = false,
    }
    /// An order to stop.
    StopOrder "order" {
        /// Enough of the treaty's keys signed it.
        quorum_met: bool = true,
        /// It is between its beginning and its end.
        in_time: bool = true,
        /// It names this job, model or site.
        names_this: bool = true,
    }
}

/// What compute counts as that nobody has stated: the most that a record can hold, beyond every threshold; three times of it
/// is still a number.
pub const COMPUTE_UNKNOWN: i64 = 9_007_199_254_740_991;
