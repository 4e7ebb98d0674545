//! ListTransactions (key 66): the transactional ids of this node, filtered (KIP-664, 994, 1152).

use ottla_model::ErrorCode;
use ottla_txn::{ListRequest, TransactionState as State};
use ottla_wire::Text;
use ottla_wire::messages::list_transactions_response::TransactionState;
use ottla_wire::messages::{ListTransactionsRequest, ListTransactionsResponse};
use regex::Regex;

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::text;

pub(crate) async fn handle(
    ctx: Ctx,
    request: ListTransactionsRequest,
) -> Answer<ListTransactionsResponse> {
    let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
        return Answer::Now(failed(ErrorCode::InvalidRegularExpression));
    };
    Answer::later(async move {
        let names = distinct(request.state_filters, Text::clone);
        let states = names.iter().filter_map(|name| State::from_name(name));
        let filter = ListRequest {
            states: (!names.is_empty()).then(|| states.collect()),
            producer_ids: request.producer_id_filters.into_iter().collect(),
            running_longer_than_ms: Some(request.duration_filter).filter(|&ms| ms >= 0),
        };
        let (code, mut listed) = ctx.broker.transactions.list(&ctx.broker, filter).await;
        if code != ErrorCode::None {
            return failed(code);
        }
        if let Some(pattern) = pattern {
            listed.retain(|l| pattern.is_match(&l.transactional_id));
        }
        let listed = listed.into_iter().map(|l| TransactionState {
            transactional_id: text(&l.transactional_id),
            producer_id: l.producer_id,
            transaction_state: Text::from(l.state.name()),
            ..TransactionState::default()
        });
        let unknown = names.iter().filter(|name| State::from_name(name).is_none());
        ListTransactionsResponse {
            unknown_state_filters: unknown.cloned().collect(),
            transaction_states: listed.collect(),
            ..ListTransactionsResponse::default()
        }
    })
}

/// The pattern must match the whole transactional id.
fn pattern(pattern: Option<&str>) -> Result<Option<Regex>, regex::Error> {
    let given = pattern.filter(|p| !p.is_empty());
    given.map(|p| Regex::new(&format!("^(?:{p})$"))).transpose()
}

fn failed(code: ErrorCode) -> ListTransactionsResponse {
    ListTransactionsResponse {
        error_code: code.code(),
        ..ListTransactionsResponse::default()
    }
}
