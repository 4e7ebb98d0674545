//! Gets the real clients: Python packages, Debian packages, jars. Everything but the Debian
//! packages lands in the target folder and is reused as long as its list does not change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{root, shown, target};

/// Copies a project's jars; the version is pinned as in `clients/java/pom.xml`.
const COPY_JARS: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// What pip, Maven, apt and cargo say when their registry does not answer.
const UNREACHABLE: [&str; 14] = [
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve host",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "Connection timed out",
    "Connect timed out",
    "Read timed out",
    "NewConnectionError",
    "Unknown host",
    "UnknownHostException",
    "Unable to connect to",
    "Connection reset",
];

/// Whether the message tells of a registry that does not answer.
pub(crate) fn unreachable(message: &str) -> bool {
    UNREACHABLE.iter().any(|sign| message.contains(sign))
}

/// The Python interpreter of a virtual environment that holds the Python clients.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = target()?.join("venv");
    let python = folder.join("bin/python");
    let list = root().join("clients/python/requirements.txt");
    let wanted = fs::read_to_string(&list)?;
    let stamp = folder.join("requirements.installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    require("python3", &["python3", "python3-venv"])?;
    let make = || quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    if let Err(error) = make() {
        // Debian splits the module that makes environments off into a package of its own.
        install(&["python3-venv"]).with_context(|| format!("{error:#}"))?;
        make()?;
    }
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ])
    .arg(&list);
    quietly(&mut pip)?;
    fs::write(stamp, wanted)?;
    Ok(python)
}

/// Makes sure that `kcat` can be run.
pub(crate) fn kcat() -> Result<()> {
    require("kcat", &["kcat"])
}

/// The folder with the jars that `clients/NAME/pom.xml` lists.
pub(crate) fn jars(name: &str) -> Result<PathBuf> {
    let pom = root().join("clients").join(name).join("pom.xml");
    let folder = target()?.join("clients").join(name).join("lib");
    let wanted = fs::read_to_string(&pom)?;
    let stamp = folder.join("pom.resolved");
    if fs::read_to_string(&stamp).is_ok_and(|resolved| resolved == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut maven = maven(&pom)?;
    quietly(
        maven
            .arg(COPY_JARS)
            .arg(format!("-DoutputDirectory={}", folder.display())),
    )?;
    fs::write(stamp, wanted)?;
    Ok(folder)
}

/// Builds the Java program of `clients/NAME`; the class path to run it with.
pub(crate) fn java_program(name: &str) -> Result<String> {
    let folder = target()?.join("clients").join(name);
    let mut maven = maven(&root().join("clients").join(name).join("pom.xml"))?;
    quietly(
        maven
            .arg("package")
            .arg(format!("-Dsuite.target={}", folder.display())),
    )?;
    Ok(format!(
        "{}:{}",
        folder.join("classes").display(),
        folder.join("lib/*").display()
    ))
}

/// Builds the C program of `clients/NAME` with a library from Debian; the program.
pub(crate) fn c_program(name: &str, library: &str, package: &str) -> Result<PathBuf> {
    let sources = root().join("clients").join(name);
    let folder = target()?.join("clients").join(name);
    fs::create_dir_all(&folder)?;
    require("cc", &["gcc", "libc6-dev"])?;
    let program = folder.join("suite");
    let mut files: Vec<PathBuf> = fs::read_dir(&sources)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    let build = || {
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu11", "-O1", "-Wall", "-DTHREADED", "-o"]);
        compiler.arg(&program).args(&files);
        quietly(compiler.arg(format!("-l{library}")))
    };
    // The library may be there already, from Debian or from elsewhere.
    build().or_else(|_| {
        install(&[package])?;
        build()
    })?;
    Ok(program)
}

/// Gets what faults in a cluster need, where that is possible; what cannot be had, with the reason.
pub(crate) fn for_faults() -> Vec<String> {
    let programs = [
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("nsenter", "util-linux"),
        ("cc", "gcc"),
    ];
    let get = |(program, package)| require(program, &[package]).err();
    programs
        .into_iter()
        .filter_map(get)
        .map(|error| format!("{error:#}"))
        .collect()
}

/// Installs Kubernetes applications; from its sources where it is not there.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// The program `helm`.
pub(crate) fn helm() -> Result<PathBuf> {
    if on_path("helm") {
        return Ok("helm".into());
    }
    let folder = target()?.join("go/bin");
    let program = folder.join("helm");
    if !program.is_file() {
        ensure!(
            on_path("go"),
            "there is no helm, and no Go to build it with"
        );
        println!("building {HELM}");
        let mut go = Command::new("go");
        quietly(go.env("GOBIN", &folder).args(["install", HELM]))?;
    }
    Ok(program)
}

/// The programs `prometheus` and `promtool`. Debian's package would start a service: it is unpacked
/// where nothing starts it.
pub(crate) fn prometheus() -> Result<[PathBuf; 2]> {
    let names = ["prometheus", "promtool"];
    if names.iter().all(|name| on_path(name)) {
        return Ok(names.map(PathBuf::from));
    }
    let folder = target()?.join("debian");
    let programs = names.map(|name| folder.join("usr/bin").join(name));
    if !programs.iter().all(|program| program.is_file()) {
        ensure!(
            on_path("apt-get") && on_path("dpkg-deb"),
            "there is no prometheus, and no Debian to take it from"
        );
        fs::create_dir_all(&folder)?;
        let download = || {
            let mut apt = Command::new("apt-get");
            quietly(
                apt.current_dir(&folder)
                    .args(["download", "-q", "prometheus"]),
            )
        };
        println!("unpacking prometheus");
        download().or_else(|_| {
            quietly(Command::new("apt-get").args(["update", "-q"])).and_then(|()| download())
        })?;
        let is_package = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "deb");
        let mut files = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let package = files.find(is_package).context("no package has come")?;
        let mut unpack = Command::new("dpkg-deb");
        quietly(unpack.arg("--extract").arg(package).arg(&folder))?;
    }
    Ok(programs)
}

fn maven(pom: &Path) -> Result<Command> {
    require("java", &["default-jdk-headless"])?;
    require("javac", &["default-jdk-headless"])?;
    require("mvn", &["maven"])?;
    let mut command = Command::new("mvn");
    command.args(["--quiet", "--batch-mode", "--file"]).arg(pom);
    Ok(command)
}

/// Makes sure that a program is there, with Debian's packages when it is not.
fn require(program: &str, packages: &[&str]) -> Result<()> {
    if on_path(program) {
        return Ok(());
    }
    install(packages).with_context(|| format!("{program} is not installed"))?;
    ensure!(
        on_path(program),
        "{packages:?} are installed, but there is no {program}"
    );
    Ok(())
}

pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn install(packages: &[&str]) -> Result<()> {
    let id = Command::new("id")
        .arg("-u")
        .output()
        .context("cannot run id")?;
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        bail!(
            "not root: install the package(s) {} by hand",
            packages.join(", ")
        );
    }
    ensure!(
        on_path("apt-get"),
        "no apt-get here: install {} by hand",
        packages.join(", ")
    );
    println!("installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        quietly(
            command
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(arguments),
        )
    };
    let wanted = [
        &["install", "-y", "-q", "--no-install-recommends"],
        packages,
    ]
    .concat();
    apt(&wanted).or_else(|_| apt(&["update", "-q"]).and_then(|()| apt(&wanted)))
}

/// Runs a command; its whole output is the error when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed: {}",
            shown(command),
            format!("{out}{err}").trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_told_from_a_wrong_name() {
        assert!(unreachable(
            "E: Failed to fetch x  Temporary failure resolving 'x'"
        ));
        assert!(unreachable(
            "Could not transfer artifact: Connection refused"
        ));
        assert!(!unreachable(
            "ERROR: No matching distribution found for confluent-kafka==99"
        ));
        assert!(!unreachable("COMPILATION ERROR"));
    }

    #[test]
    fn a_failing_command_tells_what_it_said() {
        let error = quietly(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("out") && text.contains("err"), "{text}");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}
