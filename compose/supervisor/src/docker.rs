//! Another engine on this machine: what a docker has saved for us, by its socket.

use std::path::Path;

use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, Empty};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;

use crate::messages::Failure;

/// The most that is read of what the engine gives as a reason.
const MAX_REASON: usize = 64 << 10;

/// Asks for the archive of images.
pub(crate) async fn saved(socket: &Path, names: &[String]) -> Result<impl AsyncRead + Unpin + Send + use<>, Failure> {
    let failed = |error: &dyn std::error::Error| {
        let mut failure = Failure::of(error);
        failure
            .causes
            .insert(0, std::mem::replace(&mut failure.message, format!("failed to ask docker at {}", socket.display())));
        failure.hint = Some("start docker, or name its socket by DOCKER_HOST".to_owned());
        failure
    };
    let stream = tokio::net::UnixStream::connect(socket).await.map_err(|error| failed(&error))?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    // Ends with the connection, which ends with the body.
    tokio::spawn(driver);
    let query = names.iter().map(|name| format!("names={}", escaped(name))).collect::<Vec<_>>().join("&");
    let request = Request::get(format!("/images/get?{query}")).header(header::HOST, "docker");
    let request = request.body(Empty::<bytes::Bytes>::new()).map_err(|error| failed(&error))?;
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), MAX_REASON).collect().await;
        let json: serde_json::Value =
            body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
        let why = json["message"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        return Err(Failure::text(format!("docker does not give {}: {why}", names.join(", "))));
    }
    let frames = BodyStream::new(response.into_body()).filter_map(|frame| async move {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(std::io::Error::other(error))),
        }
    });
    // The connection lives as long as what comes over it.
    let frames = frames.map(move |frame| (frame, &sender).0);
    Ok(tokio_util::io::StreamReader::new(Box::pin(frames)))
}

/// As a query may hold it.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' | b':' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
