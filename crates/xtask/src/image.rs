//! `cargo xtask image`: the container image, from the program and its shared libraries alone. No
//! registry is asked.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use ottla_testkit::{Profile, node_binary};

use crate::setup::on_path;
use crate::workspace::{root, succeeds, target};

/// What the manifests of `deploy/examples` name.
pub(crate) const TAG: &str = "localhost/ottla:dev";
/// The same as in the manifests.
const USER: &str = "1000:1000";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the image is called
    #[arg(long, default_value = TAG)]
    tag: String,
    /// This program instead of a fresh release build
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Load it onto the nodes of the test cluster in this folder, instead of into docker or podman
    #[arg(long, value_name = "DIR")]
    testbed: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => node_binary(Profile::Release)?,
    };
    match &arguments.testbed {
        Some(testbed) => load(&arguments.tag, &binary, testbed),
        None => build(&arguments.tag, &binary),
    }
    .map(|()| true)
}

/// Builds the image of this program with what this machine has for it.
fn build(tag: &str, binary: &Path) -> Result<()> {
    let builder = builder()?;
    let context = target()?.join("image");
    let rootfs = context.join("rootfs");
    if rootfs.exists() {
        fs::remove_dir_all(&rootfs)?;
    }
    assemble(binary, &rootfs)?;
    let mut command = Command::new(builder);
    command.args(["build", "--network", "none", "--tag", tag, "--file"]);
    command.arg(root().join("deploy/docker/Dockerfile"));
    command.arg(&context);
    ensure!(
        succeeds(&mut command)?,
        "{builder} could not build the image: see above"
    );
    println!("{tag} is there, user {USER}; to use it elsewhere: {builder} push, or save and load");
    Ok(())
}

/// The first of docker and podman that is at work here.
fn builder() -> Result<&'static str> {
    let installed: Vec<&str> = ["docker", "podman"]
        .into_iter()
        .filter(|p| on_path(p))
        .collect();
    let answers = |program: &&str| {
        let mut command = Command::new(program);
        command
            .arg("info")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    match installed.iter().copied().find(answers) {
        Some(builder) => Ok(builder),
        None if installed.is_empty() => bail!(
            "there is neither docker nor podman here to build an image with; a test cluster that \
             loads programs itself is named with --testbed DIR"
        ),
        None => bail!(
            "`{} info` fails: is its service running, and may you use it?",
            installed.join(" info` and `")
        ),
    }
}

/// Puts the program onto the nodes of a test cluster.
pub(crate) fn load(tag: &str, binary: &Path, testbed: &Path) -> Result<()> {
    let links = target()?.join("image/bin");
    fs::create_dir_all(&links)?;
    link(&links.join("start-zookeeper"))?;
    let (own, bin) = (Path::new("/ottla"), PathBuf::from("/usr/bin"));
    load_with(tag, (binary, own), &[(links, bin)], &[], testbed)
}

/// A program and further files (from, to), with an environment of `NAME=VALUE`.
pub(crate) fn load_with(
    tag: &str,
    (program, at): (&Path, &Path),
    files: &[(PathBuf, PathBuf)],
    environment: &[String],
    testbed: &Path,
) -> Result<()> {
    let mut command = Command::new(testbed.join("image"));
    command.arg(tag).arg(program);
    for (from, to) in files {
        let pair = format!("{}:{}", from.display(), to.display());
        command.arg("--add").arg(pair);
    }
    for variable in environment {
        command.arg("--env").arg(variable);
    }
    command.args(["--user", USER, "--"]).arg(at);
    // Not the whole command: there may be hundreds of files.
    println!("loading {tag}");
    let status = command
        .status()
        .context("the test cluster's program image cannot be run")?;
    ensure!(status.success(), "the image was not loaded: see above");
    Ok(())
}

/// Lays out the image's root file system.
fn assemble(binary: &Path, rootfs: &Path) -> Result<()> {
    let copy = |from: &Path, to: &Path| -> Result<()> {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    };
    let program = rootfs.join("ottla");
    copy(binary, &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    fs::create_dir_all(rootfs.join("usr/bin"))?;
    link(&rootfs.join("usr/bin/start-zookeeper"))?;
    for library in libraries(binary)? {
        let inside = library.strip_prefix("/").unwrap_or(&library);
        copy(&library, &rootfs.join(inside))?;
    }
    fs::create_dir_all(rootfs.join("etc"))?;
    for (name, text) in [
        (
            "passwd",
            "root:x:0:0::/:/none\nottla:x:1000:1000::/:/none\n",
        ),
        ("group", "root:x:0:\nottla:x:1000:\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
    ] {
        fs::write(rootfs.join("etc").join(name), text)?;
    }
    let tmp = rootfs.join("tmp");
    fs::create_dir_all(&tmp)?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

/// Manifests that call `start-zookeeper` find the program by its name.
fn link(at: &Path) -> Result<()> {
    match symlink("/ottla", at) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make the link {}", at.display()))
        }
        _ => Ok(()),
    }
}

/// The shared libraries and the loader that a program needs.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(binary)
        .output()
        .context("cannot run ldd, which knows what the program is linked with")?;
    libraries_in(&String::from_utf8_lossy(&output.stdout))
}

/// The paths in what `ldd` prints; of a static program there are none.
fn libraries_in(text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in text.lines() {
        if line.contains("not found") {
            bail!(
                "the program needs a library that is not here: {}",
                line.trim()
            );
        }
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        found.extend(path.map(PathBuf::from));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007f75)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f75)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f75)\n";
        let found = libraries_in(text).unwrap();
        let paths = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(found, paths.map(PathBuf::from));
        assert!(libraries_in("\tstatically linked\n").unwrap().is_empty());
        assert!(libraries_in("\tlibx.so.1 => not found\n").is_err());
    }

    /// The test's own program stands for any: it is linked with the C library, too.
    #[test]
    fn the_root_file_system_has_the_program_its_libraries_and_no_shell() {
        let folder = target().unwrap().join("image-test");
        let program = std::env::current_exe().unwrap();
        assemble(&program, &folder).unwrap();
        let link = fs::read_link(folder.join("usr/bin/start-zookeeper")).unwrap();
        assert_eq!(link, Path::new("/ottla"));
        let mode = fs::metadata(folder.join("ottla"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        for library in libraries(&program).unwrap() {
            assert!(folder.join(library.strip_prefix("/").unwrap()).is_file());
        }
        assert!(!folder.join("bin/sh").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
