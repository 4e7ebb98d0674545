//! Files in the repository that are made from the code: `cargo xtask deploy` writes them, and this
//! notices when they are stale.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with its text, or writes it if that is asked for.
fn check(path: &str, text: &str) {
    let at = root().join(path);
    if fs::read_to_string(&at).is_ok_and(|old| old == text) {
        return;
    }
    assert!(
        std::env::var_os("OTTLA_WRITE_DEPLOY").is_some(),
        "{path} is not what the code says: run `cargo xtask deploy`"
    );
    let folder = at.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(&at, text).expect("the file can be written");
    println!("wrote {path}");
}

#[test]
fn files_under_deploy_are_fresh() {
    for (path, text) in ottla_operator::install::files().expect("all has a text") {
        check(&path, &text);
    }
}

#[test]
fn the_reference_is_fresh() {
    let text = ottla_operator::reference::markdown().expect("all has a text");
    check("docs/kubernetes-reference.md", &text);
}

#[test]
fn the_charts_version_is_the_projects() {
    let chart = root().join("deploy/helm/ottla-operator/Chart.yaml");
    let chart = fs::read_to_string(chart).expect("the chart is there");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        chart.contains(&format!("\nversion: {version}\n")),
        "{chart}"
    );
    assert!(
        chart.contains(&format!("\nappVersion: \"{version}\"\n")),
        "{chart}"
    );
}
