//! Actions and what came of them (ActionCache, Execution).

use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::longrunning::{Operation, operation};
use prost::Message as _;

use super::{AROUND, BlobName, Client, MOST_RESULT, ReapiError, digest, named};
use api::execution_client::ExecutionClient;

/// How often a stream that ended too early is taken up again.
const RESUMED: usize = 5;

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// What the command ended with.
    pub exit_code: i32,
    /// What it wrote to standard error, if the server has it at hand.
    pub stderr: Vec<u8>,
    /// The files that came of it, each with its path relative to the folder of the command.
    pub files: Vec<(String, BlobName)>,
    /// What the server calls the worker; empty if it does not say.
    pub worker: String,
}

impl Executed {
    pub(crate) fn of(result: api::ActionResult) -> Self {
        let files = result
            .output_files
            .into_iter()
            .filter_map(|file| Some((file.path, file.digest.as_ref().and_then(named)?)));
        Self {
            exit_code: result.exit_code,
            stderr: result.stderr_raw,
            files: files.collect(),
            worker: result.execution_metadata.unwrap_or_default().worker,
        }
    }
}

impl Client {
    /// Has an action executed, `anew` whatever is known of it, and waits until it is done, at most for `deadline`.
    ///
    /// # Errors
    /// [`ReapiError`], also where no worker could execute it.
    pub fn execute(
        &self,
        action: &BlobName,
        anew: bool,
        deadline: Duration,
    ) -> Result<Executed, ReapiError> {
        let client = ExecutionClient::new(self.channel.clone())
            .max_decoding_message_size(MOST_RESULT + AROUND);
        let request = api::ExecuteRequest {
            instance_name: self.instance(),
            skip_cache_lookup: anew,
            action_digest: Some(digest(action)),
            inline_stderr: true,
            ..Default::default()
        };
        let mut executed = self.wait_for(deadline, executed(client, request))?;
        if executed.stderr.len() > MOST_RESULT {
            executed.stderr.truncate(MOST_RESULT);
        }
        Ok(executed)
    }
}

type ExecutionOf = ExecutionClient<
    tonic::service::interceptor::InterceptedService<
        tonic::transport::Channel,
        super::Authorization,
    >,
>;

async fn executed(
    mut client: ExecutionOf,
    request: api::ExecuteRequest,
) -> Result<Executed, ReapiError> {
    let failed = |status: tonic::Status| ReapiError::of(&status);
    let mut operations = client.execute(request).await.map_err(failed)?.into_inner();
    let mut name = String::new();
    for _ in 0..=RESUMED {
        loop {
            let operation = match operations.message().await {
                Ok(Some(operation)) => operation,
                // A server or what stands before it may end a stream that takes long.
                Ok(None) => break,
                Err(status) if status.code() == tonic::Code::Unavailable => break,
                Err(status) => return Err(failed(status)),
            };
            if operation.done {
                return finished(operation);
            }
            name = operation.name;
        }
        if name.is_empty() {
            break;
        }
        let again = api::WaitExecutionRequest { name: name.clone() };
        operations = client
            .wait_execution(again)
            .await
            .map_err(failed)?
            .into_inner();
    }
    Err(ReapiError::Nonsense(
        "it stops telling what becomes of an action".to_owned(),
    ))
}

fn finished(operation: Operation) -> Result<Executed, ReapiError> {
    let of_status = |status: &bazel_remote_apis::google::rpc::Status| {
        let code = tonic::Code::from_i32(status.code);
        ReapiError::of(&tonic::Status::new(code, status.message.clone()))
    };
    match operation.result {
        Some(operation::Result::Error(status)) => Err(of_status(&status)),
        Some(operation::Result::Response(any)) => {
            let response = api::ExecuteResponse::decode(&*any.value).map_err(|error| {
                ReapiError::Nonsense(format!("what it says of an action is damaged: {error}"))
            })?;
            if let Some(status) = response.status.filter(|status| status.code != 0) {
                return Err(of_status(&status));
            }
            let result = response.result.ok_or_else(|| {
                ReapiError::Nonsense("an action is done, and nothing came of it".to_owned())
            })?;
            Ok(Executed::of(result))
        }
        None => Err(ReapiError::Nonsense(
            "an action is done, and nothing came of it".to_owned(),
        )),
    }
}
