// SPDX-License-Identifier: Apache-2.0
//! The way to the cluster: a prefix that is not there, does not answer, or leads to somebody else.

use sta_node::engines::Engine;

use super::{BadSite, on_both_majors};

on_both_majors! {
    a_prefix_that_is_missing_or_silent_is_named
    a_prefix_that_leads_to_another_account_or_to_root_runs_nothing
}

/// What an engine says that has this prefix, and another words' place for `{account}`.
async fn refusal(site: &BadSite, change: impl FnOnce(&mut Vec<String>)) -> String {
    let engine = site.open_with(|settings| {
        change(&mut settings.prefix);
        settings.command_s = 1;
    });
    let job = site.job(200, 0);
    let error = engine.submit(&job.job).await.unwrap_err().to_string();
    assert_eq!((site.slurm_ids(&job).await, job.lines()), (Vec::new(), Vec::new()));
    // The same job runs once the operator has corrected the prefix.
    drop(engine);
    let engine = site.open();
    engine.submit(&job.job).await.unwrap();
    job.ends(&engine, 0).await;
    error
}

async fn a_prefix_that_is_missing_or_silent_is_named(site: BadSite) {
    let missing = refusal(&site, |prefix| "/opt/no-such-program".clone_into(&mut prefix[0])).await;
    assert_eq!(missing, "cannot start `/opt/no-such-program`");
    let silent = ["sh", "-c", "sleep 20", "{account}"].map(ToOwned::to_owned);
    let silent = refusal(&site, |prefix| *prefix = silent.to_vec()).await;
    assert_eq!(silent, "cannot prepare an account's directory at the site: no answer within 1 s");
}

async fn a_prefix_that_leads_to_another_account_or_to_root_runs_nothing(site: BadSite) {
    let (own, other) = (&site.turn.cluster.accounts[0], &site.turn.cluster.accounts[1]);
    for wrong in [other.as_str(), "root"] {
        let error = refusal(&site, |prefix| {
            for word in &mut *prefix {
                *word = word.replace("{account}", wrong);
            }
            // The settings want to see it somewhere.
            prefix.extend(["env", "UNUSED={account}"].map(ToOwned::to_owned));
        })
        .await;
        let text = format!(
            "cannot prepare an account's directory at the site: the prefix leads to {wrong} and not to {own}: correct [sites.slurm] prefix (it ended with code 77)"
        );
        assert_eq!(error, text);
    }
}
