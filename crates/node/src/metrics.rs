// SPDX-License-Identifier: Apache-2.0
//! What the node counts, in the OpenMetrics text that Prometheus reads.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Labels of an HTTP request: the route's pattern, never its ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// HTTP method.
    pub method: String,
    /// The route's pattern.
    pub route: String,
    /// HTTP status.
    pub status: u16,
}

/// One label: a state, a rule or a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NameLabel {
    /// Its value.
    pub name: String,
}

/// One label: a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SiteLabel {
    /// Its name in the treaty.
    pub site: String,
}

/// Everything the node counts.
pub struct Metrics {
    registry: Registry,
    /// HTTP requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// How long they took.
    pub request_seconds: Histogram,
    /// Refusals by rule.
    pub refusals: Family<NameLabel, Counter>,
    /// Home jobs by state, as of the last look.
    pub jobs: Family<NameLabel, Gauge>,
    /// Waiting effects by lane, as of the last look.
    pub outbox: Family<NameLabel, Gauge>,
    /// Seconds since each peer last cosigned the log.
    pub peer_cosign_age_seconds: Family<NameLabel, Gauge>,
    /// Seconds since each site's agent last called.
    pub agent_last_seen_seconds: Family<SiteLabel, Gauge>,
    /// Entries of the audit log.
    pub audit_entries: Gauge,
    /// Incidents that are not closed.
    pub incidents_open: Gauge,
    /// Seconds until the next report about an incident is due, by the rule; below zero where one is overdue.
    pub incident_due_seconds: Family<NameLabel, Gauge>,
    /// Reports about incidents that are overdue.
    pub incident_reports_overdue: Gauge,
    /// Orders to stop that a site was late to obey.
    pub stops_late: Counter,
    /// Bytes of files sent to other members.
    pub file_bytes_served: Counter,
    /// Bytes of files taken from other members.
    pub file_bytes_fetched: Counter,
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sta");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        let request_seconds = Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        registry.register_with_unit("http_request", "Time to answer", Unit::Seconds, request_seconds.clone());
        let refusals = Family::default();
        registry.register("refusals", "Refusals by rule", refusals.clone());
        let jobs = Family::default();
        registry.register("jobs", "Home jobs by state", jobs.clone());
        let outbox = Family::default();
        registry.register("outbox", "Waiting effects by lane", outbox.clone());
        let peer_cosign_age_seconds = Family::default();
        registry.register(
            "peer_cosign_age_seconds",
            "Time since a peer cosigned the log",
            peer_cosign_age_seconds.clone(),
        );
        let agent_last_seen_seconds = Family::default();
        registry.register(
            "agent_last_seen_seconds",
            "Time since the agent of a site called",
            agent_last_seen_seconds.clone(),
        );
        let audit_entries = Gauge::default();
        registry.register("audit_entries", "Entries of the audit log", audit_entries.clone());
        let incidents_open = Gauge::default();
        registry.register("incidents_open", "Incidents that are not closed", incidents_open.clone());
        let incident_due_seconds = Family::default();
        registry.register(
            "incident_due_seconds",
            "Time until the next report about an incident is due by a rule",
            incident_due_seconds.clone(),
        );
        let incident_reports_overdue = Gauge::default();
        registry.register(
            "incident_reports_overdue",
            "Reports about incidents that are overdue",
            incident_reports_overdue.clone(),
        );
        let stops_late = Counter::default();
        registry.register("stops_late", "Orders to stop that a site was late to obey", stops_late.clone());
        let file_bytes_served = Counter::default();
        registry.register("file_bytes_served", "Bytes of files sent to members", file_bytes_served.clone());
        let file_bytes_fetched = Counter::default();
        registry.register(
            "file_bytes_fetched",
            "Bytes of files taken from members",
            file_bytes_fetched.clone(),
        );
        Self {
            registry,
            requests,
            request_seconds,
            refusals,
            jobs,
            outbox,
            peer_cosign_age_seconds,
            agent_last_seen_seconds,
            audit_entries,
            incidents_open,
            incident_due_seconds,
            incident_reports_overdue,
            stops_late,
            file_bytes_served,
            file_bytes_fetched,
        }
    }

    /// Notes one answered request.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// Notes a refusal.
    pub fn refused(&self, rule: &str) {
        self.refusals.get_or_create(&NameLabel { name: rule.to_owned() }).inc();
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// A value that the format cannot hold.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
