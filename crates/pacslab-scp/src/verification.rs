//! C-ECHO. PS3.4 A.

use std::sync::Arc;

use pacslab_dimse::message::Request;
use pacslab_dimse::service::verification;
use pacslab_dimse::{Association, Context, Error};

pub(crate) async fn perform(
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    verification::scp(association, &context, &request).await
}
