//! Lets a test program in another process restart the broker: one TCP connection, one line.
//!
//! ```text
//! program → control   "restart\n"   SIGTERM and a new start     "kill\n"   SIGKILL and a new start
//! control → program   "ok\n" once the broker is ready again, or "error: …\n"
//! ```

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::broker::Broker;

const ANSWER_LIMIT: Duration = Duration::from_secs(130);

/// Serves the two words for one broker until it is dropped.
#[derive(Debug)]
pub struct Control {
    address: String,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens on a free port.
    pub fn serve(broker: Arc<Mutex<Broker>>) -> Result<Control> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // A program that goes away in the middle of its line hurts only itself.
                let _ = answer(&stream, &broker);
            }
        });
        Ok(Control {
            address,
            stopping,
            thread: Some(thread),
        })
    }

    /// `HOST:PORT` of the control.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The thread waits in accept(); this connection wakes it.
        let woken = TcpStream::connect(&self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: &TcpStream, broker: &Mutex<Broker>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut word = String::new();
    BufReader::new(stream).read_line(&mut word)?;
    let mut broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
    let done = match word.trim() {
        "restart" => broker.restart(),
        "kill" => broker.kill_and_start(),
        other => Err(anyhow::anyhow!(
            "unknown word {other:?}: restart and kill are known"
        )),
    };
    match done {
        Ok(()) => stream.write_all(b"ok\n")?,
        Err(error) => writeln!(
            stream,
            "error: {}",
            format!("{error:#}").replace('\n', " | ")
        )?,
    }
    Ok(())
}

/// Sends a word to a control and waits until the broker is ready again.
pub fn ask(control: &str, word: &str) -> Result<()> {
    let mut stream = TcpStream::connect(control)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    writeln!(stream, "{word}")?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    if answer.trim() != "ok" {
        bail!(
            "the broker did not come back after {word}: {}",
            answer.trim()
        );
    }
    Ok(())
}
