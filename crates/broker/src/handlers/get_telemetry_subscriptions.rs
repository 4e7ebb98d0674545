//! GetTelemetrySubscriptions (key 71): which metrics a client shall push, and how often (KIP-714).

use ottla_model::{ErrorCode, Uuid};
use ottla_record::Compression;
use ottla_wire::Text;
use ottla_wire::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};

use crate::context::{Answer, Ctx};

/// The compressions of a push, the best first, as in Kafka.
const COMPRESSIONS: [Compression; 4] = [
    Compression::Zstd,
    Compression::Lz4,
    Compression::Gzip,
    Compression::Snappy,
];

pub(crate) async fn handle(
    ctx: Ctx,
    request: GetTelemetrySubscriptionsRequest,
) -> Answer<GetTelemetrySubscriptionsResponse> {
    let runtime = &ctx.broker.runtime;
    let telemetry = &ctx.broker.telemetry;
    let fresh = || Uuid::drawn(|| runtime.random.bytes16());
    let now_ms = runtime.clock.monotonic_ms();
    let facts = ctx.client_facts();
    let granted = match telemetry.subscribe(request.client_instance_id, fresh, facts, now_ms) {
        Ok(granted) => granted,
        Err(code) => {
            return Answer::Now(GetTelemetrySubscriptionsResponse {
                error_code: code.code(),
                ..GetTelemetrySubscriptionsResponse::default()
            });
        }
    };
    let metrics = granted.metrics.iter();
    Answer::Now(GetTelemetrySubscriptionsResponse {
        error_code: ErrorCode::None.code(),
        client_instance_id: granted.client_instance_id,
        subscription_id: granted.subscription_id,
        accepted_compression_types: COMPRESSIONS.map(|c| c.id().cast_signed()).to_vec(),
        push_interval_ms: i32::try_from(granted.interval_ms).unwrap_or(i32::MAX),
        telemetry_max_bytes: i32::try_from(telemetry.max_bytes()).unwrap_or(i32::MAX),
        // Prometheus wants the whole of a sum: a push that is lost takes nothing with it.
        delta_temporality: false,
        requested_metrics: metrics.map(|m| Text::from(m.as_str())).collect(),
        ..GetTelemetrySubscriptionsResponse::default()
    })
}
