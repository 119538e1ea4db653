// SPDX-License-Identifier: Apache-2.0
//! What a gate costs with every shipped pack loaded, and that the cost grows linearly with rules times facts.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::civil::date;
use sta_decide::{
    authorize::{Action, Fact, FactSheet, Rules, SHIPPED_CASES, SHIPPED_FACTS},
    cases,
    gate::{self, Layers},
};
use sta_protocol::gate::{Layer, Verdict};

/// How many rules the scaling packs have, and how many facts each of them reads: at most a thousand rules load.
const SIZES: [(usize, usize); 4] = [(10, 10), (100, 10), (300, 10), (500, 20)];

/// Every gate on the case with the strictest verdict, under all shipped packs once and as three layers.
fn every_gate(criterion: &mut Criterion) {
    let rules = Rules::shipped().expect("the shipped rules load");
    let results: Vec<_> = SHIPPED_CASES
        .iter()
        .flat_map(|(_, text)| cases::run_on(&rules, SHIPPED_FACTS, text).expect("the shipped cases run"))
        .collect();
    let layers = Layers::treaty(&rules).and(Layer::National, &rules).and(Layer::Site, &rules);
    let today = date(2026, 11, 23);
    for action in Action::ALL.into_iter().filter(|action| action.is_gate()) {
        let of_action = results.iter().filter(|result| result.action == action);
        let Some(case) = of_action.max_by_key(|result| result.verdict()) else { continue };
        let one = Layers::treaty(&rules);
        criterion.bench_function(&format!("gate/{}/treaty", action.as_str()), |bencher| {
            bencher.iter(|| gate::evaluate(&one, action, black_box(&case.sheet), today));
        });
        criterion.bench_function(&format!("gate/{}/three layers", action.as_str()), |bencher| {
            bencher.iter(|| gate::evaluate(&layers, action, black_box(&case.sheet), today));
        });
    }
}

/// A pack of `count` rules about tool calls, each of which reads `facts` facts and none of which fires.
fn pack(count: usize, facts: usize) -> String {
    let texts =
        "@text_en(\"t\") @text_fr(\"t\") @text_de(\"t\") @advice(\"a\") @advice_fr(\"a\") @advice_de(\"a\")";
    let flags = ["listed", "untrusted_input", "secret_read", "external_send", "irreversible", "approved"];
    let mut pack = "@id(\"P-1\") permit (principal, action == Action::\"call-tool\", resource);\n".to_owned();
    for number in 0..count {
        // Every part is false, so that Cedar reads all its facts before it knows.
        let part = |index: usize| match index % 7 {
            6 => format!("context.tool.name == \"tool-{number}\""),
            flag => format!("context.tool.{}", flags[flag]),
        };
        let condition: Vec<String> = (0..facts).map(part).collect();
        pack += &format!(
            "@id(\"R-{number}\") @source(\"s\") @from(\"2026-01-01\") @effect(\"deny\") @facts(\"tool.name\") {texts}\n\
             forbid (principal, action == Action::\"call-tool\", resource) when {{ {} }};\n",
            condition.join(" || ")
        );
    }
    pack
}

fn linear(criterion: &mut Criterion) {
    let mut sheet = FactSheet::default();
    sheet.set("tool.name", Fact::Text("search".to_owned()));
    for flag in ["listed", "untrusted_input", "secret_read", "external_send", "irreversible", "approved"] {
        sheet.set(&format!("tool.{flag}"), Fact::Flag(false));
    }
    let mut group = criterion.benchmark_group("rules x facts");
    for (count, facts) in SIZES {
        let text = pack(count, facts);
        let rules =
            Rules::load(&[("scaling", &text)], sta_decide::authorize::SHIPPED_SCHEMA).expect("it loads");
        let layers = Layers::treaty(&rules);
        let ask = || gate::evaluate(&layers, Action::CallTool, black_box(&sheet), date(2026, 11, 23));
        assert_eq!(ask().verdict(), Verdict::Allow, "no rule of the scaling pack fires");
        let products = count * facts;
        group.throughput(Throughput::Elements(u64::try_from(products).expect("a small number")));
        group.bench_function(BenchmarkId::from_parameter(products), |bencher| bencher.iter(ask));
    }
    group.finish();
}

criterion_group!(benches, every_gate, linear);
criterion_main!(benches);
