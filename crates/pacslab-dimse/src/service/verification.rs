//! C-ECHO, Verification. PS3.4 A, PS3.7 9.1.5.

use std::time::Instant;

use pacslab_model::uids;

use crate::association::{Association, Data};
use crate::context::Context;
use crate::error::Error;
use crate::events::Told;
use crate::message::{Field, Operation, Request};
use crate::status::StatusReply;

impl Association {
    /// Asks whether the peer is there.
    pub async fn echo(&mut self) -> Result<StatusReply, Error> {
        let begun = Instant::now();
        let context = self.context_for(uids::VERIFICATION, None)?;
        let message_id = self.next_message_id();
        let operation = Operation::Echo { sop_class: uids::VERIFICATION.into() };
        let request = Request { message_id, has_data: false, operation };
        self.send_request(&context, request, Data::None).await?;
        let response = self.response(message_id, "waiting for the response to C-ECHO").await?;
        self.tell(Told::new(Field::Echo, "was answered", &response.reply, begun.elapsed()));
        Ok(response.reply)
    }
}

/// Answers a C-ECHO.
pub async fn scp(
    association: &mut Association,
    context: &Context,
    request: &Request,
) -> Result<(), Error> {
    let begun = Instant::now();
    association.respond(context, request.response(StatusReply::SUCCESS)).await?;
    association.tell(Told::new(Field::Echo, "answered", &StatusReply::SUCCESS, begun.elapsed()));
    Ok(())
}
