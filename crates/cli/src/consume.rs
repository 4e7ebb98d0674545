//! `ottla consume`: the records of a topic, now and as they come.

mod position;
mod record;
mod template;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use indicatif::ProgressBar;
use ottla_client::{ConsumedRecord, Consumer, ConsumerOptions, OffsetAt, Reset, Start};
use ottla_runtime::Shutdown;

use crate::cluster::{Cluster, OffsetRange, TopicInfo};
use crate::escape::escaped;
use crate::globals::Globals;
use crate::moment::{self, Moment};
use crate::output::{OutputFormat, unprintable, yaml};
use crate::progress::{self, Counted};
use crate::{Error, Streams};

use position::Position;
use record::Shown;
use template::Template;

/// What `ottla consume` takes.
#[derive(Debug, clap::Args)]
pub struct ConsumeArgs {
    /// The topic to read
    pub topic: String,
    /// Begin with the first record that is there
    #[arg(short = 'B', long, conflicts_with_all = ["offset", "since"])]
    pub from_beginning: bool,
    /// Begin at this offset, -N for the last N of each partition, beginning or end [default: end;
    /// with --exit-at-end: beginning]
    #[arg(
        long,
        value_name = "OFFSET",
        allow_hyphen_values = true,
        value_parser = Position::parse,
        conflicts_with = "since"
    )]
    pub offset: Option<Position>,
    /// Begin with the records of so long ago (10m, 2h, 7d), or of a time (2026-11-21T06:57:58Z)
    #[arg(short, long, value_name = "TIME", value_parser = moment::moment)]
    pub since: Option<Moment>,
    /// Read only these partitions: separated by commas, or repeated
    #[arg(
        short,
        long,
        value_name = "N",
        value_delimiter = ',',
        value_parser = clap::value_parser!(i32).range(0..)
    )]
    pub partition: Vec<i32>,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End when everything that was there at the start is read [default: wait for more]
    #[arg(short, long)]
    pub exit_at_end: bool,
    /// Wait for more records: what happens without --exit-at-end
    #[arg(short = 'F', long, conflicts_with = "exit_at_end")]
    pub follow: bool,
    /// What is printed of a record: %v value, %k key, %h headers, %t topic, %p partition, %o
    /// offset, %T timestamp in ms, %d as date and time, %S and %K bytes of value and key; \n \t
    #[arg(short, long, value_name = "FORMAT", value_parser = Template::parse)]
    pub format: Option<Template>,
    /// What stands behind each record
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "\\n",
        hide_default_value = true,
        help = "What stands behind each record [default: \\n, unless --format ends with it]"
    )]
    pub delimiter: String,
    /// What a null key or value is printed as
    #[arg(long, value_name = "TEXT", default_value = "null")]
    pub null_marker: String,
}

/// How records are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Print {
    /// By a template, with the delimiter behind it.
    Text(Template, Vec<u8>, String),
    /// A JSON object a line.
    JsonLines,
    /// A YAML document each.
    YamlDocuments,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    At(Position),
    /// At the first record with this timestamp or a later one, in ms.
    Since(i64),
}

/// What is to be done, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    topic: String,
    begin: Begin,
    partitions: Vec<i32>,
    count: Option<u64>,
    exit_at_end: bool,
    print: Print,
}

impl ConsumeArgs {
    /// Checks what only makes sense together.
    pub(crate) fn plan(self, globals: &Globals, now_ms: i64) -> Result<Plan, Error> {
        let begin = match (self.from_beginning, self.offset, self.since) {
            (true, ..) => Begin::At(Position::Beginning),
            (_, Some(position), _) => Begin::At(position),
            (_, _, Some(moment)) => Begin::Since(moment.resolve(now_ms)),
            // Whoever asks for all that is there does not mean nothing.
            _ if self.exit_at_end => Begin::At(Position::Beginning),
            _ => Begin::At(Position::End),
        };
        let delimiter = escaped(&self.delimiter)
            .map_err(|reason| Error::Usage(format!("--delimiter: {reason}")))?;
        let print = match (self.format, globals.output) {
            (Some(_), Some(OutputFormat::Json | OutputFormat::Yaml)) => {
                return Err(Error::Usage(
                    "--format and -o json|yaml are two ways to print a record; choose one"
                        .to_owned(),
                ));
            }
            (Some(template), _) => {
                let ends = template.ends_line() && delimiter == b"\n";
                let delimiter = if ends { Vec::new() } else { delimiter };
                Print::Text(template, delimiter, self.null_marker)
            }
            (None, Some(OutputFormat::Json)) => Print::JsonLines,
            (None, Some(OutputFormat::Yaml)) => Print::YamlDocuments,
            (None, None | Some(OutputFormat::Table)) => {
                Print::Text(Template::value(), delimiter, self.null_marker)
            }
            (None, Some(OutputFormat::Wide)) => {
                Print::Text(Template::wide(), delimiter, self.null_marker)
            }
            (None, Some(OutputFormat::Name)) => {
                return Err(Error::Usage(
                    "records have no names: -o name is for topics".to_owned(),
                ));
            }
        };
        Ok(Plan {
            topic: self.topic,
            begin,
            partitions: self.partition,
            count: self.count,
            exit_at_end: self.exit_at_end,
            print,
        })
    }
}

impl Print {
    /// Appends a record's text.
    fn write(&self, record: &Shown<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Print::Text(template, delimiter, null) => {
                template.write(record, null, out);
                out.extend_from_slice(delimiter);
            }
            Print::JsonLines => {
                serde_json::to_writer(&mut *out, record).map_err(|error| unprintable(&error))?;
                out.push(b'\n');
            }
            Print::YamlDocuments => {
                out.extend_from_slice(b"---\n");
                out.extend_from_slice(yaml(record)?.as_bytes());
            }
        }
        Ok(())
    }
}

/// Partitions by number: where reading begins, and where it ends if it does.
type Ranges = BTreeMap<i32, Span>;

/// What is read of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    begin: i64,
    /// The offset behind the last record at the start.
    end: i64,
}

/// How long one request waits for records before it is asked again.
const WAIT: Duration = Duration::from_millis(500);

/// Prints records until the count is reached, the end is, or a signal comes.
pub(crate) async fn run(
    plan: Plan,
    cluster: &Cluster,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    let starting = crate::until_interrupted(interrupt, start(&plan, cluster, streams));
    let (mut consumer, ranges) = starting.await?;
    let mut reading = Reading::new(&plan, ranges, streams);
    if !plan.exit_at_end && streams.out_is_terminal && streams.err_is_terminal {
        streams.say(&format!(
            "waiting for records of {}; Ctrl-C ends",
            plan.topic
        ));
    }
    let done = reading
        .read(&mut consumer, cluster, interrupt, streams)
        .await;
    reading.bar.finish_and_clear();
    // What was printed so far is to arrive, whatever ended it.
    let flushed = streams.out.flush().map_err(Error::stdout);
    done.and(flushed)
}

/// Looks up where to begin and assigns the partitions.
async fn start(
    plan: &Plan,
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<(Consumer, Ranges), Error> {
    let mut topic = cluster.topic(&plan.topic).await?;
    choose(&mut topic, &plan.partitions)?;
    let offsets = cluster.offset_ranges(&topic).await?;
    let since = match plan.begin {
        Begin::At(_) => Vec::new(),
        Begin::Since(ms) => {
            let led = topic.partitions.iter().filter(|p| p.leader.is_some());
            let led: Vec<i32> = led.map(|partition| partition.index).collect();
            let at = OffsetAt::Timestamp(ms);
            cluster.offsets_at(&topic.name, &led, at).await?
        }
    };
    let mut ranges = Ranges::new();
    let options = ConsumerOptions {
        reset: Reset::Earliest,
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(cluster.client.clone(), options);
    for (partition, range) in topic.partitions.iter().zip(offsets) {
        let index = partition.index;
        let Some(range) = range else {
            streams.say(&format!(
                "partition {index} has no leader: its records are left out"
            ));
            continue;
        };
        let begin = begin_of(plan.begin, index, range, &since);
        if let Begin::At(Position::At(wanted)) = plan.begin
            && wanted != begin
        {
            streams.say(&format!(
                "partition {index} has the offsets {} to {}: reading from {begin}",
                range.earliest, range.latest
            ));
        }
        let action = || format!("reading partition {index} of topic {}", plan.topic);
        consumer
            .assign(&plan.topic, Some(&[index]), Start::Offset(begin))
            .await
            .map_err(|error| cluster.failure(&action(), &error))?;
        let end = range.latest;
        ranges.insert(index, Span { begin, end });
    }
    Ok((consumer, ranges))
}

/// Leaves the chosen partitions; none chosen is all.
fn choose(topic: &mut TopicInfo, chosen: &[i32]) -> Result<(), Error> {
    for partition in chosen {
        if !topic.partitions.iter().any(|p| p.index == *partition) {
            return Err(Error::NoPartition {
                topic: topic.name.clone(),
                partition: *partition,
                partitions: topic.partitions.len(),
            });
        }
    }
    if !chosen.is_empty() {
        topic.partitions.retain(|p| chosen.contains(&p.index));
    }
    Ok(())
}

fn begin_of(begin: Begin, partition: i32, range: OffsetRange, since: &[(i32, Option<i64>)]) -> i64 {
    match begin {
        Begin::At(position) => position.offset(range.earliest, range.latest),
        Begin::Since(_) => {
            let found = since.iter().find(|(index, _)| *index == partition);
            // No record is that new: reading begins with the next one.
            found
                .and_then(|(_, offset)| *offset)
                .unwrap_or(range.latest)
        }
    }
}

/// The state of reading.
struct Reading<'a> {
    plan: &'a Plan,
    /// Only with `exit_at_end`: what is left to read, by partition.
    left: Option<Ranges>,
    printed: u64,
    text: Vec<u8>,
    bar: ProgressBar,
}

impl<'a> Reading<'a> {
    fn new(plan: &'a Plan, ranges: Ranges, streams: &Streams) -> Self {
        let span = |span: &Span| u64::try_from(span.end - span.begin).unwrap_or(0);
        let total: u64 = ranges.values().map(span).sum();
        let total = plan.count.map_or(total, |count| count.min(total));
        // Records on a terminal show the progress themselves.
        let total = (plan.exit_at_end && !streams.out_is_terminal).then_some(total);
        let mut left = plan.exit_at_end.then_some(ranges);
        if let Some(left) = &mut left {
            left.retain(|_, span| span.begin < span.end);
        }
        Reading {
            plan,
            left,
            printed: 0,
            text: Vec::new(),
            bar: progress::bar(Counted::Records, total, streams),
        }
    }

    async fn read(
        &mut self,
        consumer: &mut Consumer,
        cluster: &Cluster,
        interrupt: &Shutdown,
        streams: &mut Streams,
    ) -> Result<(), Error> {
        while !self.is_done() {
            let next = next_or_flush(consumer, interrupt, streams).await?;
            let action = || format!("reading topic {}", self.plan.topic);
            match next.map_err(|error| cluster.failure(&action(), &error))? {
                Some(record) => self.take(&record, streams)?,
                None => self.skip(consumer.positions()),
            }
            if interrupt.is_announced() {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.plan.count.is_some_and(|count| self.printed >= count)
            || self.left.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// Prints a record, unless it came after the end.
    fn take(&mut self, record: &ConsumedRecord, streams: &mut Streams) -> Result<(), Error> {
        let offset = record.record.offset;
        if let Some(left) = &mut self.left {
            match left.get(&record.partition) {
                Some(span) if offset < span.end => {
                    if offset + 1 >= span.end {
                        left.remove(&record.partition);
                    }
                }
                _ => {
                    left.remove(&record.partition);
                    return Ok(());
                }
            }
        }
        self.text.clear();
        self.plan.print.write(&shown(record), &mut self.text)?;
        streams.out.write_all(&self.text).map_err(Error::stdout)?;
        self.printed += 1;
        self.bar.inc(1);
        Ok(())
    }

    /// The last offsets of a partition may hold no record: compaction and the marks of
    /// transactions leave gaps. Where reading has come beyond the end, nothing is left.
    fn skip<'p>(&mut self, positions: impl Iterator<Item = (&'p str, i32, i64)>) {
        let Some(left) = &mut self.left else { return };
        for (_, partition, next) in positions {
            if left.get(&partition).is_some_and(|span| next >= span.end) {
                left.remove(&partition);
            }
        }
    }
}

/// The next record. What is printed goes out before anybody waits for it, and not record by record.
async fn next_or_flush(
    consumer: &mut Consumer,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<Result<Option<ConsumedRecord>, ottla_client::Error>, Error> {
    let next = consumer.next(WAIT);
    tokio::pin!(next);
    tokio::select! {
        biased;
        next = &mut next => return Ok(next),
        () = std::future::ready(()) => streams.out.flush().map_err(Error::stdout)?,
    }
    tokio::select! {
        biased;
        next = next => Ok(next),
        () = interrupt.announced() => Err(Error::Interrupted),
    }
}

fn shown(record: &ConsumedRecord) -> Shown<'_> {
    let headers = record.record.headers.iter();
    Shown {
        topic: &record.topic,
        partition: record.partition,
        offset: record.record.offset,
        timestamp_ms: record.record.timestamp,
        key: record.record.key.as_deref(),
        value: record.record.value.as_deref(),
        headers: headers.map(|h| (&*h.key, h.value.as_deref())).collect(),
    }
}

#[cfg(test)]
mod tests;
