// SPDX-License-Identifier: Apache-2.0
//! What every simulation starts from: three members with keys and a treaty signed by all, their people, projects and data.
//! Made once; each simulation works on a copy of the members' directories.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use sta_decide::authorize::SHIPPED_PACKS;
use sta_node::{
    config::{
        Config, DiskConfig, DrivenEngine, FlopsConfig, GatesConfig, PoliciesConfig, SiteConfig, SiteEngine,
        StopConfig,
    },
    keys::Keys,
    node::{Engines, Node},
    outside::{BoxFuture, Clock, Outside, Transport, TransportError},
    steps::{
        disk,
        registry::{self, NewDataset, NewVisa},
    },
    store::{WriterMode, possessions::Party, registry::Researcher},
};
use sta_protocol::{
    class::Class,
    data_protection::{AboutPeople, ArticleNineBasis, DataProtection, DocumentAtSites, DocumentOnRecord},
    dataset_facts::PersonalInformation,
    digest::Sha256Digest,
    federation::DatasetFile,
    ids::{DatasetId, Jurisdiction, MemberId, ProjectId, SiteId},
    job::InputFile,
    keys::SigningKey,
    subject::Subject,
    treaty::{
        Energy, JurisdictionTerms, Member, Operator, PolicyPack, Resources, Series, Settlement, Sharing,
        SignedTreaty, Site, Tariff, Treaty, VerifiedTreaty, WitnessTerms,
    },
};
use tempfile::TempDir;

use super::chance::{Random, SeededChance, beginning};

/// The members' names, which are also their hosts' on the simulated network.
pub(super) const MEMBERS: [&str; 3] = ["a", "b", "c"];
/// Where every member listens.
pub(super) const PORT: u16 = 7411;
/// Each member's large project and its small one, which runs out.
pub(super) const PROJECTS: [(&str, i64); 2] = [("climate", 260_000), ("pilot", 60_000)];
/// The datasets: holder, name, class, where it is from, where it may be processed.
pub(super) const DATASETS: [(&str, &str, Class, &str, &[&str]); 4] = [
    ("b", "digits", Class::Open, "de", &["ca", "eea"]),
    ("b", "hospital", Class::Special, "de", &["eea"]),
    ("a", "archive", Class::Protected, "ca", &["ca"]),
    ("c", "sensors", Class::Internal, "fr", &["ca", "eea"]),
];
/// One line of [`SITES`].
type SiteRow =
    (&'static str, &'static str, &'static str, &'static str, &'static [&'static str], u32, u8, i64, u32);
/// The sites: name, member, jurisdiction, form of operator, exposed to, cores, guests' share, price of a core second, carbon.
const SITES: [SiteRow; 5] = [
    ("a-river", "a", "ca", "university", &[], 4, 50, 1000, 28_000),
    ("b-institute", "b", "de", "public", &[], 4, 50, 1200, 350_000),
    ("b-cloud", "b", "de", "commercial", &["us"], 8, 80, 700, 350_000),
    ("c-centre", "c", "fr", "public", &[], 3, 60, 900, 60_000),
    ("c-annex", "c", "fr", "university", &[], 2, 100, 1500, 55_000),
];
/// Who works where with which grants; the last one's passport ends while the simulation runs.
const PEOPLE: [(&str, &str, &[&str]); 4] = [
    ("ada", "a", &["b/hospital", "c/sensors", "a/archive"]),
    ("bert", "b", &["b/hospital", "a/archive"]),
    ("cleo", "c", &["b/hospital", "c/sensors"]),
    ("anna", "a", &["c/sensors"]),
];
/// How long after the beginning the last one's passport ends.
const ENDS_EARLY_AFTER: SignedDuration = SignedDuration::from_secs(25);

/// A person who submits jobs.
pub(super) struct Person {
    pub(super) home: usize,
    pub(super) researcher: Researcher,
    pub(super) holder: SigningKey,
    pub(super) passport: String,
}

/// What every simulation starts from.
pub(super) struct Fixture {
    directory: TempDir,
    pub(super) treaty: SignedTreaty,
    pub(super) verified_treaty: VerifiedTreaty,
    pub(super) people: Vec<Person>,
    /// A file of each member's researchers.
    pub(super) inputs: Vec<InputFile>,
}

/// The one fixture of this process.
pub(super) fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(Fixture::make())
    })
}

/// Every member, by its number.
pub(super) fn members() -> std::ops::Range<usize> {
    0..MEMBERS.len()
}

pub(super) fn member_id(member: usize) -> MemberId {
    MEMBERS[member].parse().expect("a name")
}

pub(super) fn site_ids() -> Vec<SiteId> {
    SITES.iter().map(|site| site.0.parse().expect("a name")).collect()
}

/// A node's configuration over a directory.
pub(super) fn config(member: usize, directory: &Path) -> Config {
    let own = SITES.iter().filter(|site| site.1 == MEMBERS[member]);
    Config {
        directory: directory.to_owned(),
        member: member_id(member),
        listen: ([127, 0, 0, 1], PORT).into(),
        treaty: directory.join("treaty.jws.json"),
        // So few that some offers find the queue full.
        sites: own
            .map(|site| SiteConfig {
                id: site.0.parse().expect("a name"),
                engine: SiteEngine::Driven(DrivenEngine::Local),
                queue_max: 3,
                handed_over_max: 4,
                flops: FlopsConfig::default(),
                policies: Vec::new(),
            })
            .collect(),
        // A run must not depend on how full this machine's disk is.
        disk: DiskConfig { bytes_free_min: 0, ..DiskConfig::default() },
        gates: GatesConfig::default(),
        stop: StopConfig::default(),
        policies: PoliciesConfig::default(),
    }
}

impl Fixture {
    /// Copies the members' directories to where a simulation works.
    pub(super) fn copy_to(&self, directory: &Path) {
        copy(self.directory.path(), directory);
    }

    async fn make() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let paths: Vec<PathBuf> = MEMBERS.iter().map(|member| directory.path().join(member)).collect();
        for (name, path) in MEMBERS.iter().zip(&paths) {
            let chance = SeededChance::new(Random::of(1, name));
            Keys::create(&path.join("keys"), &format!("{name}.example/log"), &chance).expect("keys");
        }
        let treaty = sign(&treaty(&paths), &paths);
        let clock = Arc::new(HandClock(AtomicI64::new(0)));
        clock.set(beginning() - SignedDuration::from_secs(60));
        let mut nodes = Vec::new();
        for (member, path) in paths.iter().enumerate() {
            let chance = SeededChance::new(Random::of(2, MEMBERS[member]));
            let outside =
                Outside { clock: clock.clone(), chance: Arc::new(chance), transport: Arc::new(Nobody) };
            let keys = Keys::load(&path.join("keys")).expect("keys");
            let config = config(member, path);
            let opened =
                Node::open(config, keys, &treaty, Engines::new(), outside, WriterMode::Simulated).await;
            nodes.push(opened.expect("a node"));
        }
        add_datasets(&nodes).await;
        let people = add_people(&nodes, &clock).await;
        let inputs: Vec<InputFile> = nodes.iter().map(|node| add_input(node)).collect();
        for person in &people {
            let party = Party::Person(person.researcher.id.clone());
            let (node, input) = (&nodes[person.home], &inputs[person.home]);
            disk::note_possession(node, input.sha256, party).await.expect("it was brought");
        }
        let verified_treaty = treaty.verify().expect("a signed treaty");
        Self { directory, treaty, verified_treaty, people, inputs }
    }
}

/// The treaty between the three, over the keys in their directories.
fn treaty(paths: &[PathBuf]) -> Treaty {
    let place = |name: &str| -> Jurisdiction { name.parse().expect("a name") };
    let member = |(index, path): (usize, &PathBuf)| Member {
        id: member_id(index),
        name: MEMBERS[index].to_uppercase(),
        jurisdiction: place(["ca", "de", "fr"][index]),
        url: format!("http://{}:{PORT}", MEMBERS[index]),
        keys: Keys::load(&path.join("keys")).expect("keys").public(),
    };
    let terms = |(id, groups): (&str, &[&str])| JurisdictionTerms {
        id: place(id),
        groups: groups.iter().map(|group| place(group)).collect(),
    };
    let european: &[&str] = &["eea"];
    let pack = |(name, text): &(&str, &str)| PolicyPack {
        name: (*name).to_owned(),
        sha256: Sha256Digest::of(text.as_bytes()),
    };
    Treaty {
        version: 1,
        name: "Three members".to_owned(),
        valid_from: beginning() - SignedDuration::from_hours(24 * 300),
        valid_until: beginning() + SignedDuration::from_hours(24 * 300),
        settlement: Settlement {
            currency: "EUR".to_owned(),
            period: "month".to_owned(),
            rounding: "half-even".to_owned(),
        },
        witness: WitnessTerms { quorum: 2, behind_s_max: 20 },
        members: paths.iter().enumerate().map(member).collect(),
        jurisdictions: [("ca", [].as_slice()), ("de", european), ("fr", european), ("us", &[])]
            .map(terms)
            .to_vec(),
        transfer_grounds: Vec::new(),
        sites: SITES.iter().map(site).collect(),
        policies: SHIPPED_PACKS.iter().map(pack).collect(),
        stop_authorities: Vec::new(),
        sharing: Some(Sharing { grace_s: 2, ..Sharing::default() }),
    }
}

fn site(site: &SiteRow) -> Site {
    let (
        id,
        member,
        jurisdiction,
        form,
        exposed_to,
        cpu_cores,
        guest_share_percent,
        core_second_micro,
        carbon,
    ) = *site;
    Site {
        id: id.parse().expect("a name"),
        member: member.parse().expect("a name"),
        jurisdiction: jurisdiction.parse().expect("a name"),
        operator: Operator {
            name: id.to_owned(),
            form: form.to_owned(),
            exposed_to: exposed_to.iter().map(|place| place.parse().expect("a name")).collect(),
        },
        resources: Resources { cpu_cores, memory_bytes: 64 << 30, gpus: 0 },
        guest_share_percent,
        tariff: Tariff {
            cpu_core_hour_micro: core_second_micro * 3600,
            memory_gib_hour_micro: 0,
            gpu_hour_micro: 0,
        },
        energy: Energy {
            milliwatts_per_core: 9000,
            milliwatts_per_gpu: 0,
            carbon_mg_per_kwh: Series::Constant(carbon),
        },
        processor_contracts: Vec::new(),
    }
}

fn sign(treaty: &Treaty, paths: &[PathBuf]) -> SignedTreaty {
    let mut signed = SignedTreaty::new(treaty).expect("a whole treaty");
    for path in paths {
        signed.sign(&Keys::load(&path.join("keys")).expect("keys").signing).expect("a member's key");
    }
    signed
}

/// Each dataset at its holder, its record at everybody.
async fn add_datasets(nodes: &[Arc<Node>]) {
    for (holder, name, class, origin, residency) in DATASETS {
        let node = nodes.iter().find(|node| node.member().as_str() == holder).expect("a member");
        let new = NewDataset {
            name: name.to_owned(),
            title: name.to_owned(),
            class,
            origin: origin.parse().expect("a name"),
            residency: residency.iter().map(|place| place.parse().expect("a name")).collect(),
            purposes: vec!["research".to_owned()],
            files: vec![add_file(node, name)],
            facts: None,
            protection: protection(class),
        };
        let record = registry::add_dataset(node, new).await.expect("a dataset");
        for other in nodes.iter().filter(|other| other.member() != node.member()) {
            registry::learn_dataset(other, record.clone()).await.expect("a record");
        }
    }
}

/// What the law asks of a dataset of this class, for the sites in the EEA where it may be processed.
fn protection(class: Class) -> Option<DataProtection> {
    let document = Sha256Digest::of(b"document");
    let dated = jiff::civil::date(2026, 1, 1);
    let sites = ["b-institute", "b-cloud", "c-centre", "c-annex"].map(|site| site.parse().expect("a name"));
    match class {
        Class::Open | Class::Internal | Class::Personal => None,
        Class::Special => Some(DataProtection {
            article_nine_basis: Some(ArticleNineBasis::Research),
            impact_assessment: Some(DocumentOnRecord { sha256: document, dated }),
            processor_contracts: vec![DocumentAtSites { sites: sites.to_vec(), sha256: document, dated }],
            ..DataProtection::default()
        }),
        Class::Protected => {
            let people = AboutPeople {
                personal_information: Some(PersonalInformation::None),
                ..AboutPeople::default()
            };
            Some(DataProtection { people, ..DataProtection::default() })
        }
    }
}

fn add_file(node: &Node, name: &str) -> DatasetFile {
    let content = format!("{name}\n").repeat(100).into_bytes();
    let sha256 = Sha256Digest::of(&content);
    let somebody = Party::Person("somebody".parse().expect("a name"));
    node.blobs.append(sha256, &somebody, 0, &content).expect("room");
    node.blobs.finish(sha256, &somebody).expect("the right bytes");
    DatasetFile { name: format!("{name}.csv"), sha256, bytes: content.len() as u64 }
}

fn add_input(node: &Node) -> InputFile {
    let DatasetFile { name, sha256, bytes } = add_file(node, &format!("input-{}", node.member()));
    InputFile { name, sha256, bytes, class: Class::Internal }
}

async fn add_people(nodes: &[Arc<Node>], clock: &HandClock) -> Vec<Person> {
    let mut people = Vec::new();
    for (index, (name, home, grants)) in PEOPLE.into_iter().enumerate() {
        let holder = SigningKey::from_seed(Random::of(3, name).bytes());
        let researcher = Researcher {
            id: name.parse().expect("a name"),
            holder: holder.public_key().thumbprint().to_string(),
            roles: std::collections::BTreeSet::new(),
        };
        let member = MEMBERS.iter().position(|member| *member == home).expect("a member");
        registry::put_researcher(&nodes[member], researcher.clone(), name).await.expect("a researcher");
        if index + 1 == PEOPLE.len() {
            // Tokens are good for twelve hours.
            clock.set(beginning() - SignedDuration::from_hours(12) + ENDS_EARLY_AFTER);
        }
        let subject = Subject { researcher: researcher.id.clone(), member: member_id(member) };
        let mut visas = Vec::new();
        for grant in grants {
            let dataset: DatasetId = grant.parse().expect("a name");
            let holder_of_data =
                nodes.iter().find(|node| node.member() == dataset.member()).expect("a member");
            let thumbprint = holder.public_key().thumbprint();
            let visa =
                registry::issue_visa(holder_of_data, subject.clone(), thumbprint, NewVisa::Dataset(dataset))
                    .await;
            visas.push(visa.expect("a visa").as_str().to_owned());
        }
        let passport =
            registry::issue_passport(&nodes[member], &researcher, visas).await.expect("a passport");
        people.push(Person { home: member, researcher, holder, passport: passport.as_str().to_owned() });
    }
    clock.set(beginning() - SignedDuration::from_secs(60));
    let mut teams: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for person in &people {
        teams.entry(person.home).or_default().push(person.researcher.id.clone());
    }
    for (member, team) in teams {
        for (project, granted_micro) in PROJECTS {
            let project: ProjectId = project.parse().expect("a name");
            registry::put_project(&nodes[member], project, granted_micro, team.clone())
                .await
                .expect("a project");
        }
    }
    people
}

/// A clock set by hand.
struct HandClock(AtomicI64);

impl HandClock {
    fn set(&self, to: Timestamp) {
        self.0.store(to.as_millisecond(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).expect("a time")
    }
}

/// While the fixture is made, nobody calls anybody.
struct Nobody;

impl Transport for Nobody {
    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<bytes::Bytes>, TransportError>> {
        Box::pin(async move {
            Err(TransportError { url: request.uri().to_string(), reason: "no network".to_owned() })
        })
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).map(|_bytes| ()).expect("a copy");
        }
    }
}
