// SPDX-License-Identifier: Apache-2.0
//! Requests into a node's router: by anybody, by a person, or signed by a member; and what was answered.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use sta_protocol::{
    digest::Sha256Digest,
    http_signature::{
        NO_CONTENT_TYPE, ReceivedResponse, RequestToSign, SignatureRefused, Signer, sign_request,
        verify_response,
    },
    ids::MemberId,
    keys::SigningKey,
};
use tower::ServiceExt;
use uuid::Uuid;

use super::{TestNode, token};

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The rule of the first reason of a problem.
    pub(crate) fn rule(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["reasons"][0]["rule"].as_str()?.to_owned())
    }

    /// The JSON body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self.json()
    }
}

impl TestNode {
    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request of a person, or of nobody when the name is empty.
    pub(crate) async fn ask(&self, person: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !person.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token(person)));
        }
        let body = match body {
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(serde_json::to_vec(json).unwrap())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// GET by a person.
    pub(crate) async fn get(&self, person: &str, path: &str) -> Answer {
        self.ask(person, Method::GET, path, None).await
    }

    /// GET by a person with one more header.
    pub(crate) async fn get_with(&self, person: &str, path: &str, (name, value): (&str, &str)) -> Answer {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", token(person)))
            .header(name, value);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// POST of JSON by a person.
    pub(crate) async fn post(&self, person: &str, path: &str, body: &Value) -> Answer {
        self.ask(person, Method::POST, path, Some(body)).await
    }

    /// POST of JSON by a person who reads that language.
    pub(crate) async fn post_in(&self, person: &str, path: &str, body: &Value, language: &str) -> Answer {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", token(person)))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT_LANGUAGE, language);
        self.send(request.body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()).await
    }

    /// PUT of JSON by a person.
    pub(crate) async fn put(&self, person: &str, path: &str, body: &Value) -> Answer {
        self.ask(person, Method::PUT, path, Some(body)).await
    }

    /// Uploads a file by a person.
    pub(crate) async fn upload(&self, person: &str, bytes: &'static [u8]) -> Sha256Digest {
        let sha256 = Sha256Digest::of(bytes);
        let request = Request::put(format!("/v1/blobs/{sha256}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", token(person)));
        let answer = self.send(request.body(Body::from(bytes)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        sha256
    }

    /// A request that this member signs, to be bent before it is sent.
    pub(crate) fn signing(&self, to: &TestNode, method: Method, path: &str) -> Signing {
        Signing {
            key: self.node.keys.signing.clone(),
            url: to.url(),
            path: path.to_owned(),
            method,
            body: Vec::new(),
            idempotency_key: Uuid::from_u128(u128::from_be_bytes(self.node.outside.random())),
            treaty: self.node.treaty_digest(),
            created: self.node.outside.now(),
            nonce: self.node.outside.random(),
        }
    }

    /// What a member signs and sends, and whether the answer is signed for it.
    pub(crate) async fn answer(&self, signing: &Signing) -> Answer {
        self.send(signing.request()).await
    }
}

/// A signed request in the making.
#[derive(Clone)]
pub(crate) struct Signing {
    pub(crate) key: SigningKey,
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) method: Method,
    pub(crate) body: Vec<u8>,
    pub(crate) idempotency_key: Uuid,
    pub(crate) treaty: Sha256Digest,
    pub(crate) created: Timestamp,
    pub(crate) nonce: [u8; 16],
}

impl Signing {
    /// With a JSON body.
    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = serde_json::to_vec(body).unwrap();
        self
    }

    fn sign(&self) -> (HeaderMap, [u8; 64]) {
        let target_uri = format!("{}{}", self.url, self.path);
        let key_id = self.key.key_id();
        let signer = Signer { key: &self.key, key_id: &key_id, created: self.created, nonce: self.nonce };
        let request = RequestToSign {
            method: &self.method,
            target_uri: &target_uri,
            content_type: if self.body.is_empty() { NO_CONTENT_TYPE } else { "application/json" },
            idempotency_key: self.idempotency_key,
            treaty: self.treaty,
            body: &self.body,
        };
        let signed = sign_request(&signer, &request).unwrap();
        (signed.headers, signed.signature)
    }

    /// The request with its signature.
    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .body(Body::from(self.body.clone()))
            .unwrap();
        *request.headers_mut() = self.sign().0;
        request
    }

    /// Whether an answer is signed by that node, for this request.
    pub(crate) fn check(&self, by: &TestNode, answer: &Answer) -> Result<MemberId, SignatureRefused> {
        let received =
            ReceivedResponse { status: answer.status, headers: &answer.headers, body: &answer.body };
        let key = by.node.keys.signing.public_key();
        let known = |key_id: &str| (key.key_id() == key_id).then_some(key);
        verify_response(&received, &self.sign().1, known, by.node.outside.now(), 5).map(|_| by.id())
    }
}
