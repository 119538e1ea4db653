// SPDX-License-Identifier: Apache-2.0
//! The client of a node's own API: one request, one bounded answer; problems (RFC 9457) become failures with their reasons.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use sta_protocol::refusal::Refusal;
use zeroize::Zeroizing;

use super::{
    failure::{Exit, Failure, Trying, causes},
    print::{self, Style},
};
use crate::outside;

/// The longest answer that is read, in bytes; files come in parts far below it.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CONNECT_SECONDS_MAX: u64 = 5;
const ANSWER_SECONDS_MAX: u64 = 60;

/// A client of one node, in one person's name or in nobody's.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Zeroizing<String>>,
    style: Style,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, of any kind.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the node at `base`. A token goes only over TLS, or to this very machine.
    ///
    /// # Errors
    /// The address is none, or would carry the token in the clear.
    pub fn new(base: &str, token: Option<Zeroizing<String>>) -> Result<Self, Failure> {
        let doing = format!("use the node at `{base}`");
        let url = reqwest::Url::parse(base).trying_to(&doing).map_err(|failure| {
            failure.exit(Exit::Usage).mend("Give its address such as https://node.ca.example.")
        })?;
        if token.is_some() && url.scheme() != "https" && !is_this_machine(&url) {
            let cause = "it is not https, and your token would travel in the clear";
            return Err(Failure::new(doing, cause)
                .exit(Exit::Usage)
                .mend("Give its https address, or go through an SSH tunnel."));
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX));
        // A redirect, which could carry the token to another machine, it does not follow.
        let http = outside::client(builder).trying_to(doing)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token, style: Style::new(false) })
    }

    /// The node's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// Exit 3: the node did not answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.base);
        let away = |error: &reqwest::Error| {
            Failure::new(format!("reach the node at {}", self.base), causes(error).replace(&url, path))
                .exit(Exit::Unreachable)
                .mend("See that it runs (`sta serve`), that the address is right, and that the network lets you through.")
        };
        let mut request = self.http.request(method, &url).headers(headers).body(body);
        request = request.header(header::ACCEPT_LANGUAGE, self.style.language.as_str());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        let mut answer = request.send().await.map_err(|error| away(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| away(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::new(
                    format!("read {path}"),
                    format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The node did not answer, or said no.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a document and reads the answer; null when it has no body.
    ///
    /// # Errors
    /// The node did not answer, or said no.
    pub async fn ask(&self, method: Method, path: &str, document: Option<&Value>) -> Result<Value, Failure> {
        let mut headers = HeaderMap::new();
        if document.is_some() {
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        }
        let body = document.map(|document| document.to_string().into_bytes()).unwrap_or_default();
        let doing = format!("{} {path}", if method == Method::GET { "read" } else { "send" });
        let answer = self.send(method, path, headers, body).await?.or_problem(&doing)?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).trying_to(format!("read the answer to {path}"))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// The node did not answer, or said no.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        let answer = self.send(Method::GET, path, HeaderMap::new(), Vec::new()).await?;
        let answer = answer.or_problem(&format!("read {path}"))?;
        String::from_utf8(answer.body).trying_to(format!("read {path}"))
    }
}

impl Answer {
    /// The answer if it is a good one, else what the node says is wrong.
    ///
    /// # Errors
    /// Exit 4 where the node does not know who asks or they may not; otherwise exit 1.
    pub fn or_problem(self, doing: &str) -> Result<Self, Failure> {
        if self.status.is_success() { Ok(self) } else { Err(self.problem(doing)) }
    }

    /// What the node says is wrong.
    #[must_use]
    pub fn problem(&self, doing: &str) -> Failure {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let exit = match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotAllowed,
            _ => Exit::Failed,
        };
        let refusals: Vec<Refusal> = serde_json::from_value(document["reasons"].clone()).unwrap_or_default();
        if !refusals.is_empty() {
            let language = Style::new(false).language;
            let reasons: String = refusals.iter().map(|refusal| print::refusal(language, refusal)).collect();
            return Failure::new(doing, format!("refused\n{}", reasons.trim_end())).exit(exit);
        }
        let said = ["detail", "title"].into_iter().find_map(|name| document[name].as_str());
        Failure::new(doing, said.map_or_else(|| format!("the node answered {}", self.status), str::to_owned))
            .exit(exit)
    }
}

/// Whether the address is this machine's loopback, where nobody listens in between.
fn is_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A name as one segment of a path (RFC 3986 §3.3): an output may be called anything that a file may.
#[must_use]
pub fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_over_tls_or_within_this_machine_only() {
        let token = || Some(Zeroizing::new("secret".to_owned()));
        for good in
            ["https://node.ca.example", "http://127.0.0.1:7411", "http://[::1]:7411", "http://localhost:1"]
        {
            assert!(Client::new(good, token()).is_ok(), "{good}");
        }
        let failure =
            Client::new("http://node.ca.example", token()).err().expect("the token is in the clear");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(
            Client::new("http://node.ca.example", None).is_ok(),
            "without a token there is nothing to lose"
        );
    }

    #[test]
    fn a_name_is_one_segment_of_a_path_whatever_is_in_it() {
        assert_eq!(segment("model v2?.json"), "model%20v2%3F.json");
        assert_eq!(segment("größe"), "gr%C3%B6%C3%9Fe");
    }

    #[test]
    fn what_the_node_refuses_is_told_with_its_rule_and_leads_to_exit_code_4() {
        let refusal = serde_json::json!({"rule": "OUT-001", "source": "treaty", "facts": {"output": "model.json"}, "advice": "", "by": "de"});
        let body = serde_json::json!({"title": "Refused", "status": 403, "reasons": [refusal]})
            .to_string()
            .into_bytes();
        let answer = Answer { status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body };
        let failure = answer.problem("fetch `model.json`");
        assert_eq!(failure.exit, Exit::NotAllowed);
        assert!(failure.cause.contains("OUT-001") && failure.cause.contains("said by de"), "{failure}");
    }
}
