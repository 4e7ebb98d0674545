//! An ensemble's clients where most of them are: in pods.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::resources::{ensemble, is_ready};
use super::{CHANGE_LIMIT, install};
use crate::image;
use crate::kube::Case;
use crate::kube::finished::output;
use crate::kube::keepers::four_letters;
use crate::kube::space::{Space, note, within};
use crate::suites::script;
use crate::workspace::root;

pub(super) const CASES: &[Case] = &[Case {
    name: "operator_an_ensemble_answers_words_and_kazoo_in_a_pod",
    run: in_a_pod,
}];

const IMAGE: &str = "localhost/ottla-kazoo:dev";
/// The program in the image.
const PROGRAM: &str = "chroots.py";

fn in_a_pod(space: &Space) -> Result<()> {
    let python = kazoo_image(space.testbed()?)?;
    install(space)?;
    space.apply(&ensemble(json!({})))?;
    within(CHANGE_LIMIT, "the ensemble is ready", || {
        is_ready(space, "keeperensemble", "zk")
    })?;
    let status = space.get("keeperensemble", "zk")?["status"].take();
    let servers = status["servers"].as_array().context("it has no servers")?;
    let pods = servers.iter().filter_map(|server| server["pod"].as_str());
    let hosts: Vec<String> = pods.map(|pod| format!("{pod}.zk-servers")).collect();
    ensure!(hosts.len() == 3, "{status}");
    four_letters(space, &hosts)?;
    let idle = [&*python, "-c", "import time; time.sleep(3600)"];
    space.idle_pod("kazoo", IMAGE, "Never", &idle)?;
    let all: Vec<_> = hosts.iter().map(|host| format!("{host}:2181")).collect();
    let program = format!("/{PROGRAM}");
    let client = [&*python, &program, "--connect", "zk:2181", "--all"];
    let began = Instant::now();
    let told = space.exec("kazoo", &[&client[..], &[&all.join(",")]].concat())?;
    note(&format!(
        "{} ({:.1} s, in a pod)",
        told.trim(),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Puts Python and kazoo onto the nodes, and not a file more than the program needs; the interpreter.
fn kazoo_image(testbed: &Path) -> Result<String> {
    let program = root().join("clients/kube").join(PROGRAM);
    let mut command = script("kube/files_of.py")?;
    let text = output(command.arg(&program), b"", Duration::from_secs(60))?;
    let (interpreter, modules) = text.split_once('\n').context("it has no modules")?;
    let mut files: Vec<(PathBuf, PathBuf)> = modules
        .lines()
        .map(|file| (file.into(), file.into()))
        .collect();
    let kazoo = modules
        .lines()
        .find_map(|file| file.strip_suffix("/kazoo/__init__.py"));
    let packages = format!("PYTHONPATH={}", kazoo.context("there is no kazoo")?);
    files.push((program, Path::new("/").join(PROGRAM)));
    image::load_with(
        IMAGE,
        (Path::new(interpreter), Path::new(interpreter)),
        &files,
        &[packages, "PYTHONDONTWRITEBYTECODE=1".to_owned()],
        testbed,
    )?;
    Ok(interpreter.to_owned())
}
