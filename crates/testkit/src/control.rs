//! Lets a test program in another process restart nodes: one TCP connection, one line.
//!
//! ```text
//! program → control   "restart\n"   SIGTERM and a new start     "kill\n"   SIGKILL and a new start
//!                     of a cluster:  "stop ID\n"  "kill ID\n"  "start ID\n"  node by node
//!                     of an ensemble as well:  "spawn ID\n"  a start that is not waited for
//! control → program   "ok\n" once the broker is ready again, or "error: …\n"
//! ```

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::broker::Broker;
use crate::cluster::Cluster;
use crate::zookeeper::ZooKeeper;

const ANSWER_LIMIT: Duration = Duration::from_secs(130);

/// Serves the words for one broker, or for a cluster, until it is dropped.
#[derive(Debug)]
pub struct Control {
    address: String,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens on a free port for words to a broker.
    pub fn serve(broker: Arc<Mutex<Broker>>) -> Result<Control> {
        Control::serve_with(move |word| {
            let mut broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
            obey(&mut broker, word)
        })
    }

    /// Listens on a free port for words to a cluster's nodes, which are named by their ids.
    pub fn serve_cluster(cluster: Arc<Mutex<Cluster>>) -> Result<Control> {
        Control::serve_with(move |word| {
            let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
            obey_for_node(&mut cluster, word)
        })
    }

    /// Listens on a free port for words to an ensemble's servers, which are named by their ids.
    pub fn serve_zookeeper(ensemble: Arc<Mutex<ZooKeeper>>) -> Result<Control> {
        Control::serve_with(move |word| {
            let mut ensemble = ensemble.lock().unwrap_or_else(PoisonError::into_inner);
            obey_for_server(&mut ensemble, word)
        })
    }

    fn serve_with(mut obey: impl FnMut(&str) -> Result<()> + Send + 'static) -> Result<Control> {
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
                let _ = answer(&stream, &mut obey);
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

fn obey(broker: &mut Broker, word: &str) -> Result<()> {
    match word {
        "restart" => broker.restart(),
        "kill" => broker.kill_and_start(),
        other => bail!("unknown word {other:?}: restart and kill are known"),
    }
}

fn obey_for_node(cluster: &mut Cluster, words: &str) -> Result<()> {
    let (word, node) = word_and_place(words, cluster.len())?;
    match word {
        "stop" => cluster.stop(node),
        "kill" => cluster.kill(node),
        "start" => {
            cluster.spawn(node)?;
            cluster.wait_ready(node)
        }
        other => bail!("unknown word {other:?}: stop, kill and start are known"),
    }
}

/// `spawn` does not wait, as a server without a quorum is never ready.
fn obey_for_server(ensemble: &mut ZooKeeper, words: &str) -> Result<()> {
    let (word, server) = word_and_place(words, ensemble.len())?;
    match word {
        "stop" => ensemble.stop(server),
        "kill" => ensemble.kill(server),
        "spawn" => ensemble.spawn(server),
        "start" => {
            ensemble.spawn(server)?;
            ensemble.wait_ready(server)
        }
        other => bail!("unknown word {other:?}: stop, kill, spawn and start are known"),
    }
}

/// Ids begin with 1, places with 0.
fn word_and_place(words: &str, count: usize) -> Result<(&str, usize)> {
    let (word, id) = words.split_once(' ').context("a word and a node's id")?;
    let id: usize = id.parse().context("a node's id")?;
    let place = id.checked_sub(1).filter(|place| *place < count);
    let place = place.with_context(|| format!("there is no node {id}"))?;
    Ok((word, place))
}

fn answer(mut stream: &TcpStream, obey: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut word = String::new();
    BufReader::new(stream).read_line(&mut word)?;
    match obey(word.trim()) {
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
