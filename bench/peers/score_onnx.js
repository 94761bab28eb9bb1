// ONNX Runtime scores the requests of perf_score.
//
//     node score_onnx.js DIR KIND THREADS SCORES     DIR with KIND.onnx (export_onnx.py); SCORES gets the scores
//
// onnxruntime-node is found through NODE_PATH. Ids are tensors beforehand.
'use strict';
const fs = require('fs');
const readline = require('readline');
const ort = require('onnxruntime-node');

// One-dimensional .npy of u32, as int32.
function loadIds(path) {
  const file = fs.readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  return new Int32Array(file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length));
}

// The inputs of one request from its plain ids (n x fields).
function makeInputs(kind, model, ids) {
  const n = model.candidates, fields = model.fields.length;
  const tensor = (rows, from, to) => {
    const data = new Int32Array(rows * (to - from));
    for (let r = 0; r < rows; r++)
      data.set(ids.subarray(r * fields + from, r * fields + to), r * (to - from));
    return new ort.Tensor('int32', data, [rows, to - from]);
  };
  if (!kind.startsWith('split')) return {ids: tensor(n, 0, fields)};
  const users = model.fields.filter((f) => f.side === 'user').length;
  return {user_ids: tensor(1, 0, users), ids: tensor(n, users, fields)};
}

async function main() {
  const [folder, kind, threads, scores] = process.argv.slice(2);
  const model = JSON.parse(fs.readFileSync(`${folder}/model.json`));
  const ids = loadIds(`${folder}/ids.npy`);
  const size = model.candidates * model.fields.length;
  const requests = [];
  for (let k = 0; k < model.requests; k++)
    requests.push(makeInputs(kind, model, ids.subarray(k * size, (k + 1) * size)));
  const session = await ort.InferenceSession.create(`${folder}/${kind}.onnx`, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
  });

  const out = new Float32Array(model.requests * model.candidates);
  for (let k = 0; k < model.requests; k++)
    out.set((await session.run(requests[k])).score.data, k * model.candidates);
  fs.writeFileSync(scores, Buffer.from(out.buffer));

  let at = 0;
  async function go(n) {
    const ns = [];
    for (let i = 0; i < n; i++) {
      const request = requests[at++ % requests.length];
      const start = process.hrtime.bigint();
      await session.run(request);
      ns.push(Number(process.hrtime.bigint() - start));
    }
    return {ns};
  }

  const version = require('onnxruntime-node/package.json').version;
  console.log(JSON.stringify({ready: true, name: `ONNX Runtime ${version}`, variant: kind, threads: Number(threads)}));
  for await (const line of readline.createInterface({input: process.stdin}))
    console.log(JSON.stringify(await go(Number(line.split(' ')[1]))));
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
