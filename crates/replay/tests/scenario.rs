// SPDX-License-Identifier: Apache-2.0
//! Scenarios: the shipped ones, what each key does, and what is said of values that cannot be.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use sta_decide::energy::{Exposure, Spent};
use sta_replay::scenario::{FILE_BYTES_MAX, MayRun, Scenario, ScenarioError};
use tempfile::TempDir;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2024-04-01T00:00:00Z.
const APRIL_MS: u64 = 1_711_929_600_000;

const PLAIN: &str = r#"
name = "Two"
currency = "EUR"
start = "2024-04-01"
[terms]
staging_s = 300
[[members]]
id = "a"
name = "A"
[[members]]
id = "b"
name = "B"
[[sites]]
id = "a1"
member = "a"
processors = 8
capital_micro_per_processor_hour = 900000
operation_micro_per_processor_hour = 100000
idle_w = 350
busy_w = 1000.5
pue = 1.2
price_per_mwh = 65
carbon_g_per_kwh = 28.5
[[sites]]
id = "b1"
member = "b"
load = 0.5
capital_micro_per_processor_hour = 0
operation_micro_per_processor_hour = 0
idle_w = 0
busy_w = 1000
pue = 1
price_per_mwh = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
carbon_g_per_kwh = { file = "hours.csv", column = "g" }
[[workloads]]
site = "a1"
trace = "trace.csv"
[[workloads]]
site = "b1"
trace = "trace.csv"
from_s = 0
until_s = 100
utc_offset_h = -2
"#;

const TRACE: &str = "submit_s,runtime_s,processors\n0,100,4\n10,50,8\n20,100,16\n90,10,2\n";

/// Six days of hours from the day before the scenario on, the fifth day from 06:00 on without a value.
fn hours() -> String {
    let mut table = "utc,usd,g\n".to_owned();
    for hour in 0..144 {
        let (day, hour_of_day) = (hour / 24, hour % 24);
        let date = if day == 0 { "2024-03-31".to_owned() } else { format!("2024-04-0{day}") };
        let value = if hour < 102 { hour.to_string() } else { String::new() };
        table += &format!("{date} {hour_of_day:02}:00:00+00:00,-1,{value}\n");
    }
    table
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("trace.csv"), TRACE).unwrap();
    fs::write(folder.path().join("hours.csv"), hours()).unwrap();
    let path = folder.path().join("two.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The plain scenario with some texts in place of others, each of which is there.
fn with(changes: &[(&str, &str)]) -> Result<Scenario, ScenarioError> {
    let mut text = PLAIN.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    let (_folder, path) = written(&text);
    Scenario::open(&path)
}

/// What is said of it, after the path of the file; folders of the machine are left out.
fn refused(changes: &[(&str, &str)]) -> String {
    let error = with(changes).unwrap_err();
    let ScenarioError::Key { path, key, said } = &error else { return error.to_string() };
    assert_eq!(error.to_string(), format!("scenario `{}`: {key}: {said}", path.display()));
    let folder = format!("{}/", path.parent().unwrap().display());
    format!("{key}: {said}").replace(&folder, "")
}

fn example(name: &str) -> Scenario {
    Scenario::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/replay").join(name)).unwrap()
}

#[test]
fn the_two_nations_are_those_of_the_reference() {
    let scenario = example("two-nations.toml");
    assert_eq!((scenario.jobs.len(), scenario.too_large.iter().sum::<u64>()), (116_873, 0));
    // 3,489,211,068 and 4,541,855,252 processor-seconds within 84 days, of which the sites are busy for 0.76.
    assert_eq!(scenario.sites.iter().map(|site| site.processors).collect::<Vec<_>>(), [633, 823]);
    assert_eq!(scenario.jobs.iter().filter(|job| job.site == 0).count(), 50_168);
    assert_eq!(scenario.sites[0].owned_micro_per_processor_hour, 1_113_242);
    // Germany's local day begins six hours before Canada's.
    assert_eq!(scenario.begin_ms, APRIL_MS - 2 * HOUR_MS);
    assert_eq!(scenario.until_ms, APRIL_MS + 4 * HOUR_MS + 84 * DAY_MS);
    assert!(scenario.jobs.is_sorted_by_key(|job| job.submit_ms));
    assert_eq!(scenario.classes[0].may_run, MayRun::Anywhere);
    // The first hour of April in UTC at 51.209 a megawatt-hour and 273.63 g/kWh, for 1.2 kW.
    let site = &scenario.sites[1];
    let hour = site.supply.over(APRIL_MS, APRIL_MS + HOUR_MS).unwrap();
    let spent = Spent { energy_mwh: 1_200_000, cost_micro: 61_451, co2_ug: 328_356_000 };
    assert_eq!(site.power.spent(hour, Exposure::default()), spent);
}

#[test]
fn the_free_rider_is_small_idle_for_weeks_and_then_over_its_head() {
    let scenario = example("free-rider.toml");
    let of_small = scenario.jobs.iter().filter(|job| scenario.sites[job.site].member == 1);
    let asked: u64 = of_small.clone().map(|job| job.run_ms * u64::from(job.processors)).sum();
    assert_eq!(scenario.sites.iter().map(|site| site.processors).collect::<Vec<_>>(), [633, 64]);
    let three_weeks = 3 * 7 * DAY_MS * 64;
    assert!(asked > 2 * three_weeks && asked < 4 * three_weeks, "{asked} of {three_weeks}");
    let weeks: Vec<u64> = of_small.map(|job| (job.submit_ms - APRIL_MS) / (7 * DAY_MS)).collect();
    assert!(weeks.iter().all(|week| [2, 3, 6, 7, 10, 11].contains(week)));
    assert!(scenario.too_large.iter().any(|jobs| *jobs > 0));
}

#[test]
fn every_key_is_where_it_belongs() {
    let scenario = with(&[]).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.currency.as_str()), ("Two", "EUR"));
    let terms = scenario.terms;
    assert_eq!([terms.staging_ms, terms.checkpoint_ms, terms.restart_ms], [300_000, 1_800_000, 0]);
    assert_eq!([terms.grace_ms, terms.unsaved_ms_max], [0, 1_800_000]);
    // 4 * 100 + 8 * 50 + 16 * 100 + 2 * 10 processor-seconds within 100 seconds, at half load.
    assert_eq!(scenario.sites.iter().map(|site| site.processors).collect::<Vec<_>>(), [8, 48]);
    assert_eq!(scenario.too_large.iter().sum::<u64>(), 1, "the first site has 8");
    assert_eq!((scenario.begin_ms, scenario.until_ms), (APRIL_MS, APRIL_MS + 2 * HOUR_MS + 100_000));
    let jobs: Vec<(usize, u64, u64)> =
        scenario.jobs.iter().map(|job| (job.site, job.submit_ms - APRIL_MS, job.run_ms)).collect();
    let later = 2 * HOUR_MS;
    let second = [(0, 100_000), (10_000, 50_000), (20_000, 100_000), (90_000, 10_000)];
    let mut expected = vec![(0, 0, 100_000), (0, 10_000, 50_000), (0, 90_000, 10_000)];
    expected.extend(second.map(|(at, run)| (1, later + at, run)));
    assert_eq!(jobs, expected);
    let site = &scenario.sites[1];
    // From 02:30 to 03:30 the price is 2 and then 3 a megawatt-hour; the hours of April are the 24th of the table and on.
    let hour = site.supply.over(APRIL_MS + 5 * HOUR_MS / 2, APRIL_MS + 7 * HOUR_MS / 2).unwrap();
    let spent = Spent { energy_mwh: 1_000_000, cost_micro: 2500, co2_ug: 26_500_000 };
    assert_eq!(site.power.spent(hour, Exposure::default()), spent);
    // The table has values up to 2024-04-04 06:00.
    assert!(site.supply.check_span(APRIL_MS, APRIL_MS + 3 * DAY_MS + 6 * HOUR_MS).is_ok());
    assert!(site.supply.check_span(APRIL_MS, APRIL_MS + 3 * DAY_MS + 6 * HOUR_MS + 1).is_err());
}

#[test]
fn a_larger_movable_share_keeps_what_was_movable_and_another_seed_moves_others() {
    let movable = |percent: u32, seed: u32| -> Vec<bool> {
        let keys = format!("start = \"2024-04-01\"\nseed = {seed}\nmovable_percent = {percent}");
        let trace = "trace = \"long.csv\"\n[[workloads]]";
        let text = PLAIN.replacen("start = \"2024-04-01\"", &keys, 1);
        let (folder, path) = written(&text.replacen("trace = \"trace.csv\"\n[[workloads]]", trace, 1));
        let rows: String = (0..2000).map(|second| format!("{second},1,1\n")).collect();
        fs::write(folder.path().join("long.csv"), format!("submit_s,runtime_s,processors\n{rows}")).unwrap();
        let scenario = Scenario::open(&path).unwrap();
        let of_first = scenario.jobs.iter().filter(|job| job.site == 0);
        of_first.map(|job| scenario.classes[job.class].may_run == MayRun::Anywhere).collect()
    };
    let (quarter, half) = (movable(25, 0), movable(50, 0));
    let count = |of: &[bool]| of.iter().filter(|movable| **movable).count();
    assert!((450..550).contains(&count(&quarter)) && (930..1070).contains(&count(&half)));
    assert!(quarter.iter().zip(&half).all(|(quarter, half)| !quarter || *half));
    assert_eq!(quarter, movable(25, 0));
    assert_ne!(quarter, movable(25, 1));
    assert_eq!((count(&movable(0, 0)), count(&movable(100, 0))), (0, 2000));
}

#[test]
fn classes_say_where_their_jobs_may_run() {
    let classes = "[[classes]]\nid = \"secret\"\nshare_percent = 40\nmay_run = \"home\"\n[[classes]]\nid = \"shared\"\n\
                   share_percent = 60\nmay_run = [\"b\", \"b\"]\n[[members]]";
    let scenario = with(&[("[[members]]", classes)]).unwrap();
    let ways: Vec<&MayRun> = scenario.classes.iter().map(|class| &class.may_run).collect();
    assert_eq!(ways, [&MayRun::Home, &MayRun::Members(vec![1])]);
}

#[test]
fn a_part_of_a_trace_is_named_by_weeks_thinned_out_and_put_on_another_day() {
    let part = "trace = \"trace.csv\"\nweek_1_s = 5\nfrom_week = 1\nuntil_week = 1\nkeep_one_in = 2\n\
                start = \"2024-04-02\"\n[[workloads]]";
    let scenario = with(&[
        ("trace = \"trace.csv\"\n[[workloads]]", part),
        ("{ file = \"hours.csv\", column = \"g\" }", "20"),
    ])
    .unwrap();
    let of_first: Vec<u64> =
        scenario.jobs.iter().filter(|job| job.site == 0).map(|job| job.submit_ms - APRIL_MS).collect();
    assert_eq!(of_first, [DAY_MS + 5000, DAY_MS + 85_000]);
    assert_eq!(scenario.until_ms, APRIL_MS + 8 * DAY_MS);
}

#[test]
fn hours_of_another_year_stand_in_for_those_of_the_scenario() {
    let other = "column = \"g\", year = 2024 }";
    let scenario =
        with(&[("start = \"2024-04-01\"", "start = \"2031-04-01\""), ("column = \"g\" }", other)]).unwrap();
    let begin_ms = scenario.begin_ms;
    let hour = scenario.sites[1].supply.over(begin_ms, begin_ms + HOUR_MS).unwrap();
    assert_eq!(scenario.sites[1].power.spent(hour, Exposure::default()).co2_ug, 24_000_000);
}

#[test]
fn files_that_are_no_scenarios_are_told() {
    let missing = Scenario::open(Path::new("/no/such.toml")).unwrap_err();
    assert_eq!(missing.to_string(), "scenario `/no/such.toml`: it cannot be read");
    assert!(missing.source().is_some());
    let comment = format!("# {}\n", "x".repeat(usize::try_from(FILE_BYTES_MAX).unwrap()));
    let (_folder, path) = written(&comment);
    let long = "it is longer than 1048576 bytes: jobs and prices go into files of their own";
    assert!(Scenario::open(&path).unwrap_err().to_string().ends_with(long));
    let unknown = refused(&[("staging_s = 300", "stagging_s = 300")]);
    assert!(unknown.contains("two.toml`: TOML parse error at line 6, column 1"), "{unknown}");
    assert!(
        unknown.contains("unknown field `stagging_s`, expected one of `staging_s`, `checkpoint_s`"),
        "{unknown}"
    );
    let error = with(&[("trace = \"trace.csv\"", "trace = \"hours.csv\"")]).unwrap_err();
    assert!(error.to_string().contains("two.toml`: workloads[0].trace: the trace `"), "{error}");
    assert_eq!(
        error.source().unwrap().to_string(),
        "line 1: no column is called `submit_s` or `arrival_s`; the first line of a table names its columns"
    );
}

#[test]
fn lists_and_names_that_cannot_be_are_told_with_what_to_write() {
    let name = "x".repeat(257);
    let long = format!("name = \"{name}\"");
    assert_eq!(refused(&[("name = \"Two\"", "name = \"\"")]), "name: write 1 to 256 bytes");
    assert_eq!(refused(&[("name = \"A\"", &long)]), "members[0].name: write 1 to 256 bytes");
    assert_eq!(
        refused(&[("\"EUR\"", "\"euro\"")]),
        "currency: `euro` is no currency: write three capital letters, such as USD"
    );
    assert_eq!(
        refused(&[("id = \"b1\"", "id = \"B 1\"")]),
        "sites[1].id: `B 1` is no id: write 1 to 64 small letters, digits and `-`"
    );
    assert_eq!(
        refused(&[("id = \"b\"", "id = \"a\"")]),
        "members[1].id: `a` is there twice: give each its own"
    );
    assert_eq!(
        refused(&[("member = \"b\"", "member = \"a\"")]),
        "members[1].id: `b` has no site: write one `[[sites]]` of it at least"
    );
    assert_eq!(
        refused(&[(
            "[[members]]",
            "[[sites]]\nid = \"c\"\nmember = \"c\"\ncapital_micro_per_processor_hour = 0\n\
                    operation_micro_per_processor_hour = 0\nidle_w = 0\nbusy_w = 0\npue = 1\nprice_per_mwh = 0\n\
                    carbon_g_per_kwh = 0\n[[members]]"
        )]),
        "sites[0].member: `c` is no member; there are a, b"
    );
    let first = PLAIN.split("[[members]]").next().unwrap();
    let refuse = |text: &str| {
        let (_folder, path) = written(text);
        Scenario::open(&path).unwrap_err().to_string()
    };
    assert!(refuse(first).ends_with("members: there are none: write `[[members]]` for each"));
    let many: String = (0..257).map(|n| format!("[[members]]\nid = \"m{n}\"\nname = \"M\"\n")).collect();
    assert!(refuse(&(first.to_owned() + &many)).ends_with("members: there are 257, and may be 256"));
    let years = "is no day from 1971 to 2199: write it such as 2024-04-01";
    assert_eq!(refused(&[("2024-04-01", "2024-04-31")]), format!("start: `2024-04-31` {years}"));
    assert_eq!(
        refused(&[("staging_s = 300", "unsaved_s_max = 31622401")]),
        "terms.unsaved_s_max: 31622401 is more than a year: use at most 31622400"
    );
    assert_eq!(
        refused(&[("staging_s = 300", "checkpoint_s = 0")]),
        "terms.checkpoint_s: work cannot be saved all the time: use 1 or more"
    );
}

#[test]
fn sites_that_cannot_be_are_told_with_what_to_write() {
    let either = "sites[0].processors: give either `processors` or `load`";
    assert_eq!(refused(&[("processors = 8", "")]), either);
    assert_eq!(refused(&[("processors = 8", "processors = 8\nload = 1")]), either);
    assert_eq!(
        refused(&[("processors = 8", "processors = 0")]),
        "sites[0].processors: 0 are out of bounds: use 1 to 10000000"
    );
    for load in ["0", "nan", "10.5"] {
        let said = refused(&[("load = 0.5", &format!("load = {load}"))]).to_lowercase();
        assert_eq!(said, format!("sites[1].load: {load} is out of bounds: use more than 0 and at most 10"));
    }
    assert_eq!(
        refused(&[("load = 0.5", "load = 0.000001")]),
        "sites[1].load: at 0.000001 it would have 24200000 processors: use a higher load"
    );
    assert_eq!(
        refused(&[("site = \"b1\"", "site = \"a1\"")]),
        "sites[1].load: no `[[workloads]]` is of this site: give its `processors`"
    );
    assert_eq!(
        refused(&[("hour = 900000", "hour = 1000000000001")]),
        "sites[0].capital_micro_per_processor_hour: 1000000000001 is out of bounds: use at most 1000000000000"
    );
    assert_eq!(
        refused(&[("idle_w = 350", "idle_w = -1")]),
        "sites[0].idle_w: -1 is out of bounds: use 0 or more, and no more than any has"
    );
    assert_eq!(
        refused(&[("idle_w = 350", "idle_w = 2000")]),
        "sites[0].idle_w: a processor that draws 2000000 milliwatts when idle and 1000500 when busy: are the two exchanged?"
    );
    assert_eq!(
        refused(&[("busy_w = 1000.5", "busy_w = 200000")]),
        "sites[0].busy_w: a processor that draws 200000000 milliwatts: use at most 100000000"
    );
    assert_eq!(
        refused(&[("pue = 1.2", "pue = 0.9")]),
        "sites[0].pue: a power usage effectiveness of 900000 millionths: use 1000000 (the building adds nothing) to 10000000"
    );
}

#[test]
fn electricity_that_cannot_be_is_told_with_what_to_write() {
    assert_eq!(
        refused(&[("price_per_mwh = 65", "price_per_mwh = \"cheap\"")]),
        "sites[0].price_per_mwh: is \"cheap\": write a number, 24 numbers for the hours of the day in UTC, or { file = \"...\", \
         column = \"...\" }"
    );
    assert_eq!(
        refused(&[("price_per_mwh = 65", "price_per_mwh = 1e300")]),
        "sites[0].price_per_mwh: a rate of 9223372036854775807 is further from 0 than 1000000000000: is it in the unit that its \
         name says?"
    );
    assert_eq!(
        refused(&[("price_per_mwh = 65", "price_per_mwh = [1, 2]")]),
        "sites[0].price_per_mwh: 2 values are no day: use one number, or 24 for the hours of the day in UTC, from 00:00 on"
    );
    assert_eq!(
        refused(&[("= 28.5", "= -0.5")]),
        "sites[0].carbon_g_per_kwh: carbon of -500 mg/kWh: electricity takes none out of the air; use 0 or more"
    );
    let series = |table: &str| refused(&[("{ file = \"hours.csv\", column = \"g\" }", table)]);
    assert_eq!(series("{ file = \"hours.csv\" }"), "sites[1].carbon_g_per_kwh: missing field `column`");
    assert_eq!(
        series("{ file = \"hours.csv\", column = \"gram\" }"),
        "sites[1].carbon_g_per_kwh: `hours.csv`: line 1: no column is called `gram`; the first line names the columns, and has \
         utc, usd, g"
    );
    assert!(
        series("{ file = \"none.csv\", column = \"g\" }")
            .starts_with("sites[1].carbon_g_per_kwh: `none.csv`: it cannot be opened: No such file")
    );
    assert_eq!(
        series("{ file = \"hours.csv\", column = \"g\", year = 2020 }"),
        "sites[1].carbon_g_per_kwh: `hours.csv`: its column `g` has nothing for the hour from 2020-04-01T00:00:00Z: use another \
         column, or with `year` the hours of a year that it has"
    );
    assert_eq!(
        refused(&[
            ("\"2024-04-01\"", "\"2024-02-29\""),
            ("column = \"g\" }", "column = \"g\", year = 2023 }")
        ]),
        "sites[1].carbon_g_per_kwh: year: `2023-02-29` is no day from 1971 to 2199: write it such as 2024-04-01"
    );
    assert_eq!(
        refused(&[
            ("from_s = 0", "start = \"2024-04-04\"\nfrom_s = 0"),
            ("until_s = 100", "until_s = 15000")
        ]),
        "sites[1].carbon_g_per_kwh: 2024-04-01T00:00:00Z to 2024-04-04T06:10:00Z is not within the series, which has \
         2024-04-01T00:00:00Z to 2024-04-04T06:00:00Z: use a longer one, or another year"
    );
}

#[test]
fn tables_that_cannot_be_read_are_told_with_the_line() {
    let table = |rows: &str| {
        let (folder, path) = written(PLAIN);
        fs::write(folder.path().join("hours.csv"), format!("utc,g\n{rows}")).unwrap();
        let error = Scenario::open(&path).unwrap_err().to_string();
        error.split("hours.csv`: ").last().unwrap().to_owned()
    };
    let first = "2024-04-01 00:00:00+00:00,1\n";
    assert_eq!(
        table("soon,1\n"),
        "line 2: `soon` is no full hour: write `utc` such as 2024-04-01 00:00:00+00:00"
    );
    assert_eq!(
        table("2024-04-01 00:00:00+00:00,dear\n"),
        "line 2: g is `dear`: write a number, or nothing where it is not known"
    );
    assert_eq!(
        table(&first.repeat(2)),
        "line 3: its hour is not after the one before: sort the rows by `utc`"
    );
    assert_eq!(table(&"x".repeat(4097)), "line 2: it is longer than 4096 bytes");
    let (folder, path) = written(PLAIN);
    fs::write(folder.path().join("hours.csv"), b"utc,g\n\xff\n").unwrap();
    let error = Scenario::open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("hours.csv`: it cannot be read after line 1: stream did not contain valid UTF-8"),
        "{error}"
    );
}

#[test]
fn workloads_and_classes_that_cannot_be_are_told_with_what_to_write() {
    assert_eq!(
        refused(&[("site = \"a1\"", "site = \"c1\"")]),
        "workloads[0].site: `c1` is no site; there are a1, b1"
    );
    assert_eq!(
        refused(&[("until_s = 100\n", "")]),
        "workloads[1].from_s: name the part of the trace by `from_s` and `until_s`, or by `week_1_s`, `from_week` and `until_week`, \
         or by none of them for all of it"
    );
    let second = "from_s = 0\nuntil_s = 100";
    assert_eq!(
        refused(&[(second, "week_1_s = 0\nfrom_week = 0\nuntil_week = 1")]),
        "workloads[1].from_week: weeks are counted from 1"
    );
    let late = "and the last job of `trace.csv` came at 90: end it a week after that at the latest";
    assert_eq!(
        refused(&[("until_s = 100", "until_s = 604891")]),
        format!("workloads[1].until_s: it ends at second 604891, {late}")
    );
    assert_eq!(
        refused(&[(second, "week_1_s = 1\nfrom_week = 1\nuntil_week = 2")]),
        format!("workloads[1].until_week: it ends at second 1209601, {late}")
    );
    assert_eq!(
        refused(&[("from_s = 0", "from_s = 95")]),
        "workloads[1].trace: no job came from second 95 to 100 of `trace.csv`, whose jobs came from 0 to 90"
    );
    assert_eq!(
        refused(&[("from_s = 0", "keep_one_in = 0\nfrom_s = 0")]),
        "workloads[1].keep_one_in: use 1 to keep every job, 2 to keep every second"
    );
    assert_eq!(
        refused(&[("utc_offset_h = -2", "utc_offset_h = 15")]),
        "workloads[1].utc_offset_h: no local time is 15 hours from UTC: use -14 to 14"
    );
    assert_eq!(
        refused(&[("from_s = 0", "start = \"soon\"\nfrom_s = 0")]),
        "workloads[1].start: `soon` is no day from 1971 to 2199: write it such as 2024-04-01"
    );
    assert_eq!(
        refused(&[("[terms]", "movable_percent = 101\n[terms]")]),
        "movable_percent: 101 is more than all: use 0 to 100"
    );
    let class = |share: u32, may_run: &str| {
        format!("[[classes]]\nid = \"c\"\nshare_percent = {share}\nmay_run = {may_run}\n[[members]]")
    };
    let refused_class = |share, may_run: &str| refused(&[("[[members]]", &class(share, may_run))]);
    assert_eq!(refused_class(90, "\"home\""), "classes: their `share_percent` make 90: let them make 100");
    let may_run = "write \"home\", \"anywhere\" or a list of members";
    assert_eq!(refused_class(100, "\"abroad\""), format!("classes[0].may_run: is \"abroad\": {may_run}"));
    assert_eq!(refused_class(100, "[1]"), format!("classes[0].may_run: is [1]: {may_run}"));
    assert_eq!(refused_class(100, "[\"c\"]"), "classes[0].may_run: `c` is no member; there are a, b");
    assert_eq!(
        refused(&[("[terms]", "movable_percent = 10\n[terms]"), ("[[members]]", &class(100, "\"home\""))]),
        "movable_percent: it is the short form of `[[classes]]`, which are there too: leave out one of them"
    );
}
