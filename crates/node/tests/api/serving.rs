// SPDX-License-Identifier: Apache-2.0
//! Serving over real connections, until the node stops.

use std::{sync::Arc, time::Duration};

use sta_node::http::serve;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::harness::World;

async fn ask(address: std::net::SocketAddr, connection: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    (stream, String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn a_node_that_is_stopped_closes_idle_connections_and_takes_no_new_ones() {
    let world = World::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(Arc::clone(&world.ca.node), listener));
    let (mut idle, answer) = ask(address, "keep-alive").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"ok\""), "{answer}");
    world.ca.node.stop();
    let ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
    ended.expect("an idle connection must not hold the node up").unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
