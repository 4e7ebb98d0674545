//! Metrics as clients push them (KIP-714): OpenTelemetry's `MetricsData`, version 1, in protobuf.
//!
//! ```text
//! MetricsData 1─▶ ResourceMetrics 1─▶ Resource 1─▶ attributes
//!                                 2─▶ ScopeMetrics 2─▶ Metric 1 name
//!                                                             5 gauge ─▶ 1 points
//!                                                             7 sum   ─▶ 1 points, 2 temporality, 3 monotonic
//! point: 7 attributes, 4 double or 6 fixed-width integer
//! ```
//!
//! What clients have besides (histograms, exemplars, units) is skipped: Kafka's clients send gauges
//! and sums only. The format is read by hand, since these few fields are all there is to it, and
//! since every item that is allocated can be charged to a budget this way.

use std::borrow::Cow;
use std::str;

/// A metric may have so many points, attributes and names that this many are read; one item takes
/// less than 100 bytes of memory.
pub const ITEMS_MAX: usize = 65_536;

/// Why bytes are no metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The bytes end before the field does.
    #[error("the metrics end in the middle of a field, at byte {at}")]
    Truncated {
        /// Where, counted from the end of the message that it belongs to.
        at: usize,
    },
    /// A number has more than ten bytes.
    #[error("the metrics hold a number that is too long")]
    Varint,
    /// The field has a form that protobuf 3 does not have, or none that it should have.
    #[error(
        "field {field} of the metrics has the wire type {wire_type}, which does not belong there"
    )]
    WireType {
        /// The field's number.
        field: u64,
        /// Its form.
        wire_type: u8,
    },
    /// A text is not UTF-8.
    #[error("the metrics hold a text that is not UTF-8")]
    Utf8,
    /// There is more in it than anyone should push.
    #[error("the metrics have more than {ITEMS_MAX} points, attributes and names")]
    TooMany,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// A sum. A monotonic one never goes down; a delta is what was added since the last time.
    Sum {
        /// Whether it never goes down.
        monotonic: bool,
        /// Whether it is the change since the last push, and not the whole.
        delta: bool,
    },
}

/// One number with what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// Names with their values, those of the resource first. Values that are no text, number or
    /// boolean are left out.
    pub attributes: Attributes<'a>,
    /// The number.
    pub value: f64,
}

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric<'a> {
    /// Its name, such as `org.apache.kafka.producer.connection.creation.total`.
    pub name: &'a str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its numbers.
    pub points: Vec<Point<'a>>,
}

/// Reads `MetricsData`. Metrics without a point are left out.
///
/// # Errors
/// The first thing that is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Metric<'_>>, OtlpError> {
    let mut budget = Budget(ITEMS_MAX);
    let mut metrics = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 1 {
            resource_metrics(value.bytes(field)?, &mut metrics, &mut budget)?;
        }
    }
    Ok(metrics)
}

/// Names with their values. Texts are slices of the bytes, however many points share them.
pub type Attributes<'a> = Vec<(&'a str, Cow<'a, str>)>;

fn resource_metrics<'a>(
    bytes: &'a [u8],
    metrics: &mut Vec<Metric<'a>>,
    budget: &mut Budget,
) -> Result<(), OtlpError> {
    // Attributes of the resource may stand behind its metrics.
    let mut shared = Attributes::new();
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 1 {
            let mut resource = Fields(value.bytes(field)?);
            while let Some((field, value)) = resource.next()? {
                if field == 1 {
                    attribute(value.bytes(field)?, &mut shared, budget)?;
                }
            }
        }
    }
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 2 {
            let mut scope = Fields(value.bytes(field)?);
            while let Some((field, value)) = scope.next()? {
                if field == 2 {
                    metric(value.bytes(field)?, &shared, metrics, budget)?;
                }
            }
        }
    }
    Ok(())
}

fn metric<'a>(
    bytes: &'a [u8],
    shared: &Attributes<'a>,
    metrics: &mut Vec<Metric<'a>>,
    budget: &mut Budget,
) -> Result<(), OtlpError> {
    budget.take(1)?;
    let mut name = "";
    let mut kind = MetricKind::Gauge;
    let mut points = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => name = value.text(field)?,
            5 => {
                kind = MetricKind::Gauge;
                data(value.bytes(field)?, shared, &mut points, budget)?;
            }
            7 => {
                let bytes = value.bytes(field)?;
                data(bytes, shared, &mut points, budget)?;
                kind = sum(bytes)?;
            }
            _ => {}
        }
    }
    if !points.is_empty() {
        metrics.push(Metric { name, kind, points });
    }
    Ok(())
}

/// The points of a gauge or a sum: both have them in field 1.
fn data<'a>(
    bytes: &'a [u8],
    shared: &Attributes<'a>,
    points: &mut Vec<Point<'a>>,
    budget: &mut Budget,
) -> Result<(), OtlpError> {
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 1
            && let Some(point) = point(value.bytes(field)?, shared, budget)?
        {
            points.push(point);
        }
    }
    Ok(())
}

fn sum(bytes: &[u8]) -> Result<MetricKind, OtlpError> {
    let (mut monotonic, mut delta) = (false, false);
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            2 => delta = value.varint(field)? == 1,
            3 => monotonic = value.varint(field)? != 0,
            _ => {}
        }
    }
    Ok(MetricKind::Sum { monotonic, delta })
}

fn point<'a>(
    bytes: &'a [u8],
    shared: &Attributes<'a>,
    budget: &mut Budget,
) -> Result<Option<Point<'a>>, OtlpError> {
    budget.take(1 + shared.len())?;
    let mut attributes = shared.clone();
    let mut number = None;
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            4 => number = Some(f64::from_bits(value.fixed64(field)?)),
            6 => number = Some(i64::from_ne_bytes(value.fixed64(field)?.to_ne_bytes()) as f64),
            7 => attribute(value.bytes(field)?, &mut attributes, budget)?,
            _ => {}
        }
    }
    Ok(number.map(|value| Point { attributes, value }))
}

fn attribute<'a>(
    bytes: &'a [u8],
    attributes: &mut Attributes<'a>,
    budget: &mut Budget,
) -> Result<(), OtlpError> {
    budget.take(1)?;
    let (mut key, mut text) = ("", None);
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => key = value.text(field)?,
            2 => text = any_value(value.bytes(field)?)?,
            _ => {}
        }
    }
    if let Some(text) = text {
        attributes.push((key, text));
    }
    Ok(())
}

/// A scalar as text; lists and maps are nothing.
fn any_value(bytes: &[u8]) -> Result<Option<Cow<'_, str>>, OtlpError> {
    let mut found = None;
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => found = Some(Cow::Borrowed(value.text(field)?)),
            2 => found = Some(Cow::Owned((value.varint(field)? != 0).to_string())),
            3 => {
                let number = i64::from_ne_bytes(value.varint(field)?.to_ne_bytes());
                found = Some(Cow::Owned(number.to_string()));
            }
            4 => {
                let number = f64::from_bits(value.fixed64(field)?);
                found = Some(Cow::Owned(number.to_string()));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Counts down what may still be allocated.
struct Budget(usize);

impl Budget {
    fn take(&mut self, items: usize) -> Result<(), OtlpError> {
        self.0 = self.0.checked_sub(items).ok_or(OtlpError::TooMany)?;
        Ok(())
    }
}

/// A field's value in its form on the wire.
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Value<'a> {
    fn wrong<T>(&self, field: u64) -> Result<T, OtlpError> {
        let wire_type = match self {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) => 2,
            Value::Fixed32 => 5,
        };
        Err(OtlpError::WireType { field, wire_type })
    }

    fn varint(&self, field: u64) -> Result<u64, OtlpError> {
        match self {
            Value::Varint(value) => Ok(*value),
            other => other.wrong(field),
        }
    }

    fn fixed64(&self, field: u64) -> Result<u64, OtlpError> {
        match self {
            Value::Fixed64(value) => Ok(*value),
            other => other.wrong(field),
        }
    }

    fn bytes(&self, field: u64) -> Result<&'a [u8], OtlpError> {
        match self {
            Value::Bytes(value) => Ok(value),
            other => other.wrong(field),
        }
    }

    fn text(&self, field: u64) -> Result<&'a str, OtlpError> {
        str::from_utf8(self.bytes(field)?).map_err(|_| OtlpError::Utf8)
    }
}

/// The fields of one message, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, OtlpError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Value::Bytes(self.take(len)?)
            }
            5 => {
                let _: [u8; 4] = self.array()?;
                Value::Fixed32
            }
            other => {
                let wire_type = other.to_le_bytes()[0];
                return Err(OtlpError::WireType { field, wire_type });
            }
        };
        Ok(Some((field, value)))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], OtlpError> {
        let Some((taken, rest)) = self.0.split_at_checked(len) else {
            return Err(OtlpError::Truncated { at: self.0.len() });
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OtlpError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn varint(&mut self) -> Result<u64, OtlpError> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            // The tenth byte has room for one bit; as in protobuf the others are dropped.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OtlpError::Varint)
    }
}

#[cfg(test)]
mod tests;
