/* A fetch for the official client that keeps what was asked and answered; credentials by their kind only. */
'use strict';

function kind(headers) {
  const value = (headers.get('authorization') || '').replace(/^Bearer /, '') || headers.get('x-api-key') || '';
  const found = /^sk-pst-(api|env|req)-/.exec(value);
  return found ? found[1] : value && 'other';
}

exports.recorder = (told) => {
  let kept = [];
  async function recorded(url, init) {
    const headers = new Headers(init && init.headers);
    const at = new URL(url);
    const row = {
      method: (init && init.method) || 'GET',
      path: at.pathname + at.search,
      retry: Number(headers.get('x-stainless-retry-count')),
      credential: kind(headers),
      beta: headers.get('anthropic-beta'),
      body: init && typeof init.body === 'string' ? init.body : null,
      status: null,
    };
    kept.push(row);
    try {
      const answer = await fetch(url, init);
      row.status = answer.status;
      return answer;
    } finally {
      if (told) told(row);
    }
  }
  return { fetch: recorded, take: () => { const rows = kept; kept = []; return rows; } };
};
