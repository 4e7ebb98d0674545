//! DescribeTransactions and ListTransactions (KIP-664, 994).

use ottla_model::ErrorCode;

use crate::coordinator::Coordinator;
use crate::request::ListRequest;
use crate::response::{Described, ListResponse, Listed};

impl Coordinator {
    pub(crate) fn describe(&self, transactional_id: &str) -> Result<Described, ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let entry = self
            .entries
            .get(transactional_id)
            .ok_or(ErrorCode::TransactionalIdNotFound)?;
        let transaction = &entry.transaction;
        Ok(Described {
            state: transaction.state,
            producer: transaction.producer(),
            transaction_timeout_ms: transaction.timeout_ms,
            start_ms: transaction.start_ms,
            partitions: transaction.partitions.iter().cloned().collect(),
        })
    }

    pub(crate) fn list(&self, request: &ListRequest) -> ListResponse {
        let passes = |listed: &Listed, start_ms: i64| {
            let states = request.states.as_ref();
            let state = states.is_none_or(|states| states.contains(&listed.state));
            let producer = request.producer_ids.is_empty()
                || request.producer_ids.contains(&listed.producer_id);
            // As in Kafka, what never began has been running for ever.
            let running = request
                .running_longer_than_ms
                .is_none_or(|ms| self.now_ms.saturating_sub(start_ms) > ms);
            state && producer && running
        };
        let listed = self.entries.iter().filter_map(|(id, entry)| {
            let listed = Listed {
                transactional_id: id.clone(),
                producer_id: entry.transaction.producer_id,
                state: entry.transaction.state,
            };
            passes(&listed, entry.transaction.start_ms).then_some(listed)
        });
        listed.collect()
    }
}
