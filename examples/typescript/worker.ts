// A worker for Trued in TypeScript, with nothing but what node 18 brings (docs/workers.md).
//
//   npm ci && npx tsc
//   node build/worker.js --server http://127.0.0.1:7117 --target mailers \
//       --gateway http://127.0.0.1:8025
//
// `Worker` is the part to keep: give it a function that carries out one lease. What the function
// returns is the result; it throws Rejected if it is certain that nothing happened. Whatever else
// goes wrong is told as "unknown", because nobody can know how far it came.

// All of node that is used here.
declare const process: {
  argv: string[];
  env: Record<string, string | undefined>;
  pid: number;
  exitCode: number;
  on(signal: string, handler: () => void): void;
};

interface LeaseFields {
  id: string;
  attempt: number; // only grows: refuse older ones where you can
  identity: string; // the same for every attempt: deduplicate by it
  lease_ms: number;
  payload: Record<string, unknown>;
  [more: string]: unknown;
}

type Said = {
  outcome: "acknowledged" | "rejected" | "unknown";
  [more: string]: unknown;
};

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** It did not happen, for certain. `retryable`: it may, some other time. */
class Rejected extends Error {
  constructor(
    reason: string,
    readonly retryable = false,
    readonly retryAfter = 0,
  ) {
    super(reason);
  }
}

/** The attempt is not ours any more: somebody else may be at work on it. */
class LeaseLost extends Error {}

const pauseFor = (ms: number) => new Promise<void>((go) => setTimeout(go, ms));

/** One attempt. Call check() right before whatever cannot be taken back. */
class Lease {
  lost = false;
  /** When we last asked and were told that it is ours. */
  heard = performance.now();

  constructor(readonly fields: LeaseFields) {}

  check(): void {
    // By our own clock: who was paused for so long finds out here, before being told.
    const silent = performance.now() - this.heard;
    if (this.lost || silent >= this.fields.lease_ms) throw new LeaseLost();
  }
}

type CarryOut = (lease: Lease) => Promise<unknown>;

class Worker {
  private stopping = new AbortController();

  constructor(
    private readonly server: string,
    private readonly target: string,
    private readonly name: string,
    private readonly carryOut: CarryOut,
    private readonly token?: string,
  ) {}

  stop(): void {
    this.stopping.abort();
  }

  /** Throws if there was no answer. */
  private async call(path: string, body: unknown, ms: number, signal?: AbortSignal) {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (this.token) headers["Authorization"] = `Bearer ${this.token}`;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), ms);
    const abort = () => timeout.abort();
    signal?.addEventListener("abort", abort);
    try {
      const response = await fetch(this.server + path, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        signal: timeout.signal,
      });
      const answer: Answer = { status: response.status, body: await response.json() };
      return answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Repeats the call until there is an answer that stands. Every call may be repeated. */
  private async patiently(path: string, body: unknown, giveUp: () => boolean) {
    for (let pause = 100; !giveUp(); pause = Math.min(pause * 2, 5000)) {
      try {
        const answer = await this.call(path, body, 10_000);
        if (answer.status < 500 && answer.status !== 429) return answer;
      } catch {
        // no answer: ask again
      }
      await pauseFor(pause);
    }
    return undefined;
  }

  /** One heartbeat; false once the lease is lost. */
  private async beat(lease: Lease, giveUp: () => boolean): Promise<boolean> {
    const asked = performance.now();
    const answer = await this.patiently(
      `/v1/leases/${lease.fields.id}/heartbeat`,
      { worker: this.name, attempt: lease.fields.attempt },
      giveUp,
    );
    if (answer?.status === 200) lease.heard = asked;
    else if (answer) lease.lost = true;
    return answer?.status === 200;
  }

  private async outcomeOf(lease: Lease): Promise<Said> {
    try {
      lease.check();
      return { outcome: "acknowledged", result: (await this.carryOut(lease)) ?? null };
    } catch (error) {
      if (error instanceof Rejected) {
        const said: Said = {
          outcome: "rejected",
          reason: error.message,
          retryable: error.retryable,
        };
        if (error.retryable && error.retryAfter) said["retry_after"] = error.retryAfter;
        return said;
      }
      if (error instanceof LeaseLost) {
        const reason = "the lease was lost before anything was done";
        return { outcome: "rejected", retryable: true, reason };
      }
      return { outcome: "unknown", reason: String(error).slice(0, 1000) };
    }
  }

  private async work(lease: Lease): Promise<void> {
    let done = false;
    // Who was paused while the answer was on its way learns here that it is too late.
    await this.beat(lease, () => false);
    let beating = Promise.resolve();
    const timer = setInterval(() => {
      beating = beating.then(async () => {
        if (!done && !lease.lost) await this.beat(lease, () => done);
      });
    }, lease.fields.lease_ms / 3);
    const said = await this.outcomeOf(lease);
    done = true;
    clearInterval(timer);
    // Worth saying however late: it counts, or it is kept as evidence.
    const answer = await this.patiently(
      `/v1/leases/${lease.fields.id}/complete`,
      { attempt: lease.fields.attempt, ...said },
      () => false,
    );
    const { id, attempt } = lease.fields;
    console.log(JSON.stringify({ id, attempt, ...said, answer: answer?.body }));
  }

  async run(): Promise<number> {
    let pause = 100;
    while (!this.stopping.signal.aborted) {
      let answer: Answer;
      try {
        const ask = { worker: this.name, targets: [this.target], wait: 20 };
        answer = await this.call("/v1/leases", ask, 40_000, this.stopping.signal);
      } catch (error) {
        answer = { status: 503, body: { detail: String(error) } };
      }
      if (this.stopping.signal.aborted && answer.status !== 200) break;
      if (answer.status === 200) {
        pause = 100;
        for (const fields of answer.body["leases"] as LeaseFields[]) {
          await this.work(new Lease(fields));
        }
        continue;
      }
      console.error(`${answer.status}: ${answer.body["detail"]}`);
      if (answer.status < 500 && answer.status !== 429) return 1; // it would be the same again
      await pauseFor(pause);
      pause = Math.min(pause * 2, 5000);
    }
    return 0;
  }
}

// ---- what this worker does ----------------------------------------------------------------------

function sendMail(gateway: string): CarryOut {
  return async (lease) => {
    // Whatever can be looked up is looked up first: none of it may count as sent.
    const template = await fetch(`${gateway}/templates/${lease.fields.payload["template"]}`);
    const text = await template.text();
    lease.check();
    const response = await fetch(`${gateway}/mails`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": lease.fields.identity,
      },
      body: JSON.stringify({ to: lease.fields.payload["to"], text }),
    });
    const { status } = response;
    if (status === 429 || status === 503) throw new Rejected(`the gateway says ${status}`, true);
    if (status >= 400 && status < 500) throw new Rejected(`the gateway says ${status}`);
    if (!response.ok) throw new Error(`the gateway says ${status}`);
    return response.json();
  };
}

function option(name: string, otherwise?: string): string {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? otherwise : process.argv[at + 1];
  if (value === undefined) throw new Error(`--${name} is missing`);
  return value;
}

const worker = new Worker(
  option("server", process.env["TRUED_SERVER"] ?? "http://127.0.0.1:7117").replace(/\/+$/, ""),
  option("target"),
  option("name", `node.${process.pid}`),
  sendMail(option("gateway")),
  process.env["TRUED_TOKEN"],
);
process.on("SIGTERM", () => worker.stop());
process.exitCode = await worker.run();

export { LeaseLost, Rejected, Worker };
export type { CarryOut, Lease };
