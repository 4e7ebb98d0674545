//! PushTelemetry (key 72): a client's metrics, for `/metrics` (KIP-714).

use ottla_model::ErrorCode;
use ottla_record::{Compression, DecompressLimit};
use ottla_wire::messages::{PushTelemetryRequest, PushTelemetryResponse};
use ottla_wire::otlp;

use crate::context::{Answer, Ctx};
use crate::telemetry::Push;

pub(crate) async fn handle(
    ctx: Ctx,
    request: PushTelemetryRequest,
) -> Answer<PushTelemetryResponse> {
    let compression = u8::try_from(request.compression_type)
        .ok()
        .and_then(|id| Compression::from_id(id).ok());
    let push = Push {
        client_instance_id: request.client_instance_id,
        subscription_id: request.subscription_id,
        terminating: request.terminating,
        is_known_compression: compression.is_some(),
        bytes: request.metrics.len(),
    };
    let now_ms = ctx.broker.runtime.clock.monotonic_ms();
    let admitted = ctx.broker.telemetry.admit(push, ctx.client_facts(), now_ms);
    let (Ok(()), Some(compression)) = (admitted, compression) else {
        let code = admitted
            .err()
            .unwrap_or(ErrorCode::UnsupportedCompressionType);
        return Answer::Now(answer(code));
    };
    Answer::later(async move {
        match record(&ctx, &request, compression) {
            Ok(()) => answer(ErrorCode::None),
            Err(reason) => {
                tracing::debug!(peer = %ctx.peer, reason, "pushed metrics cannot be read");
                ctx.broker.telemetry.count_invalid();
                answer(ErrorCode::InvalidRecord)
            }
        }
    })
}

fn record(
    ctx: &Ctx,
    request: &PushTelemetryRequest,
    compression: Compression,
) -> Result<(), String> {
    let telemetry = &ctx.broker.telemetry;
    if request.metrics.is_empty() {
        return Ok(());
    }
    let limit = DecompressLimit(telemetry.max_bytes());
    let bytes = compression
        .decompress(&request.metrics, limit)
        .map_err(|error| error.to_string())?;
    let metrics = otlp::decode(&bytes).map_err(|error| error.to_string())?;
    telemetry.record(request.client_instance_id, &metrics);
    Ok(())
}

fn answer(code: ErrorCode) -> PushTelemetryResponse {
    PushTelemetryResponse {
        error_code: code.code(),
        ..PushTelemetryResponse::default()
    }
}
