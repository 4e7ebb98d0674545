//! Programs that have to end in time.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::shown;

/// What a program said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program with `input` on its standard input; it is killed when it takes longer than `limit`.
pub(crate) fn finished(command: &mut Command, input: &[u8], limit: Duration) -> Result<Finished> {
    let name = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let stdin = child.stdin.take();
    let input = input.to_vec();
    let writing = thread::spawn(move || {
        // A program that does not read its input has its reasons, and says them.
        stdin.map(|mut stdin| stdin.write_all(&input).is_ok());
    });
    let stdout = gather(child.stdout.take());
    let stderr = gather(child.stderr.take());
    let status = until_it_ends(&mut child, limit)?;
    let text = |thread: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    drop(writing.join());
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Ok(Finished {
            success: status.success(),
            stdout,
            stderr,
        }),
        None => bail!(
            "{name} did not end in {} s; it had said: {stdout}{stderr}",
            limit.as_secs()
        ),
    }
}

/// As [`finished`], with a bad end as an error that has the program's own words.
pub(crate) fn output(command: &mut Command, input: &[u8], limit: Duration) -> Result<String> {
    let done = finished(command, input, limit)?;
    if !done.success {
        bail!(
            "{} failed: {}",
            shown(command),
            format!("{}{}", done.stderr, done.stdout).trim()
        );
    }
    Ok(done.stdout)
}

fn gather(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What was read before an error is still worth telling.
            drop(from.read_to_end(&mut bytes));
        }
        bytes
    })
}

fn until_it_ends(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_comes_back_and_its_input_reaches_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "cat; echo no >&2; exit 3"]);
        let done = finished(&mut command, b"hello", Duration::from_secs(30)).unwrap();
        assert_eq!(
            (done.success, &*done.stdout, &*done.stderr),
            (false, "hello", "no\n")
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let began = Instant::now();
        let mut command = Command::new("sleep");
        let result = finished(command.arg("600"), b"", Duration::from_millis(200));
        assert!(result.unwrap_err().to_string().contains("did not end"));
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
