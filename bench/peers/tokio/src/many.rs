// SPDX-License-Identifier: MIT
//! Tokio's side of the skynet, parked, timers, skew and echo benches.
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::report;

const LEAVES: u64 = 1_000_000;

/// The best of three passes.
macro_rules! skynet {
    ($once:expr) => {{
        let mut best = f64::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let sum: u64 = $once;
            assert_eq!(sum, LEAVES * (LEAVES - 1) / 2);
            best = best.min(start.elapsed().as_nanos() as f64 / 1e6);
        }
        println!("skynet {:.2} ms", best);
    }};
}

fn node_handle(first: u64, n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n == 1 {
            return first;
        }
        let sub = n / 10;
        let mut handles = Vec::with_capacity(10);
        for i in 0..10 {
            handles.push(tokio::spawn(node_handle(first + i * sub, sub)));
        }
        let mut sum = 0;
        for h in handles {
            sum += h.await.unwrap();
        }
        sum
    })
}

fn node_oneshot(up: oneshot::Sender<u64>, first: u64, n: u64) {
    tokio::spawn(async move {
        if n == 1 {
            let _ = up.send(first);
            return;
        }
        let sub = n / 10;
        let mut from = Vec::with_capacity(10);
        for i in 0..10 {
            let (tx, rx) = oneshot::channel();
            node_oneshot(tx, first + i * sub, sub);
            from.push(rx);
        }
        let mut sum = 0;
        for rx in from {
            sum += rx.await.unwrap();
        }
        let _ = up.send(sum);
    });
}

fn node_mpsc(up: mpsc::Sender<u64>, first: u64, n: u64) {
    tokio::spawn(async move {
        if n == 1 {
            let _ = up.send(first).await;
            return;
        }
        let (tx, mut rx) = mpsc::channel(1);
        let sub = n / 10;
        for i in 0..10 {
            node_mpsc(tx.clone(), first + i * sub, sub);
        }
        drop(tx);
        let mut sum = 0;
        while let Some(v) = rx.recv().await {
            sum += v;
        }
        let _ = up.send(sum).await;
    });
}

/// Results by the join handles.
pub async fn skynet() {
    skynet!(tokio::spawn(node_handle(0, LEAVES)).await.unwrap());
}

/// Results by oneshot channels.
pub async fn skynet_oneshot() {
    skynet!({
        let (tx, rx) = oneshot::channel();
        node_oneshot(tx, 0, LEAVES);
        rx.await.unwrap()
    });
}

/// Results by one channel of capacity 1 a node, the nearest to a rendezvous.
pub async fn skynet_mpsc() {
    skynet!({
        let (tx, mut rx) = mpsc::channel(1);
        node_mpsc(tx, 0, LEAVES);
        rx.recv().await.unwrap()
    });
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

/// A million tasks in a sleep of an hour, aborted.
pub async fn parked() {
    const N: usize = 1_000_000;
    let begun = Arc::new(AtomicUsize::new(0));
    let before = resident();
    let mut tasks = Vec::with_capacity(N);
    let start = Instant::now();
    for _ in 0..N {
        let begun = begun.clone();
        tasks.push(tokio::spawn(async move {
            begun.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(3600)).await
        }));
    }
    while begun.load(Ordering::Relaxed) < N {
        tokio::task::yield_now().await
    }
    report("parked_create", start, N, "ns/task");
    println!("parked_rss {:.1} B/task", (resident() - before) / N as f64);
    let start = Instant::now();
    for t in &tasks {
        t.abort();
    }
    for t in tasks {
        let _ = t.await;
    }
    report("parked_end", start, N, "ns/task");
}

struct Never;
impl std::task::Wake for Never {
    fn wake(self: Arc<Self>) {}
}

/// A million timers set for one second to a minute away, then dropped.
pub async fn timers() {
    const N: usize = 1_000_000;
    let mut x: u64 = 88172645463325252;
    let waker = std::task::Waker::from(Arc::new(Never));
    let mut cx = std::task::Context::from_waker(&waker);
    let start = Instant::now();
    let mut all = Vec::with_capacity(N);
    for _ in 0..N {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let d = Duration::from_secs(1) + Duration::from_nanos(x % 60_000_000_000);
        let mut sleep = Box::pin(tokio::time::sleep(d));
        let _ = sleep.as_mut().poll(&mut cx);
        all.push(sleep);
    }
    let set = Instant::now();
    drop(all);
    report("timers_cancel", set, N, "ns/timer");
    report("timers", start, N, "ns/timer");
}

const TASK: Duration = Duration::from_micros(20);
const PERIOD: Duration = Duration::from_millis(2);
const PERIODS: usize = 500;
const FEW: usize = 20;

/// Each period n tasks that compute; returns how long after the period's begin each ended.
async fn skew_source(start: Instant, n: usize, begun: Arc<AtomicUsize>) -> Vec<Duration> {
    begun.fetch_add(1, Ordering::SeqCst);
    while begun.load(Ordering::SeqCst) < 2 {}
    let mut tasks = Vec::with_capacity(n * PERIODS);
    for p in 0..PERIODS {
        let born = start + PERIOD * p as u32;
        tokio::time::sleep_until(born.into()).await;
        for _ in 0..n {
            tasks.push(tokio::spawn(async move {
                let begin = Instant::now();
                while begin.elapsed() < TASK {}
                born.elapsed()
            }));
        }
    }
    let mut late = Vec::with_capacity(tasks.len());
    for t in tasks {
        late.push(t.await.unwrap());
    }
    late
}

pub async fn skew() {
    let start = Instant::now() + Duration::from_millis(20);
    let begun = Arc::new(AtomicUsize::new(0));
    let many = tokio::spawn(skew_source(start, 4 * FEW, begun.clone()));
    let few = tokio::spawn(skew_source(start, FEW, begun));
    let mut late = many.await.unwrap();
    late.extend(few.await.unwrap());
    late.sort();
    println!("skew_p50 {:.1} us", late[late.len() / 2].as_nanos() as f64 / 1e3);
    println!("skew {:.1} us", late[late.len() / 100 * 99].as_nanos() as f64 / 1e3);
}

/// A server for echo_load: a task a connection.
pub async fn echo() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    loop {
        let (mut conn, _) = listener.accept().await.unwrap();
        let _ = conn.set_nodelay(true);
        tokio::spawn(async move {
            let mut buf = [0u8; 4096];
            loop {
                match conn.read(&mut buf).await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => {
                        if conn.write_all(&buf[..n]).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
    }
}
