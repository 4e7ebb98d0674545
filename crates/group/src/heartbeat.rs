//! Heartbeat: a member shows that it lives and hears whether the group rebalances.

use ottla_model::ErrorCode;

use crate::group::Group;
use crate::outbox::Outbox;
use crate::request::HeartbeatRequest;
use crate::state::GroupState;

impl Group {
    pub(crate) fn heartbeat(&self, out: &mut Outbox, request: &HeartbeatRequest) -> ErrorCode {
        if self.is_in(GroupState::Dead) {
            return ErrorCode::CoordinatorNotAvailable;
        }
        let instance_id = request.group_instance_id.as_deref();
        if let Err(error) = self.validate_member(&request.member_id, instance_id) {
            return error;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::IllegalGeneration;
        }
        self.renew_session(out, &request.member_id);
        if self.is_in(GroupState::PreparingRebalance) {
            ErrorCode::RebalanceInProgress
        } else {
            ErrorCode::None
        }
    }
}
