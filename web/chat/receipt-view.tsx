/** An answer's receipt: the main figures in one line, all of them when it is opened. */
import { inMs, type Receipt, receiptRows, tokensPerSecond } from './receipt.ts';

export function ReceiptView({ receipt }: { readonly receipt: Receipt }) {
  const rows = receiptRows(receipt);
  if (rows.length === 0) return null;
  return (
    <details class="receipt">
      <summary>{summaryOf(receipt)}</summary>
      <dl>
        {rows.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function summaryOf(receipt: Receipt): string {
  const { completionTokens, queueMs, firstTokenMs, cachedTokens = 0 } = receipt;
  const rate = tokensPerSecond(receipt);
  const parts = [
    completionTokens !== undefined && `${completionTokens.toLocaleString('en')} tokens`,
    rate !== undefined && `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`,
    firstTokenMs !== undefined && `first token ${inMs(firstTokenMs)}`,
    queueMs !== undefined && `queue ${inMs(queueMs)}`,
    cachedTokens > 0 && `${cachedTokens.toLocaleString('en')} cached`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'Receipt' : parts.join(' · ');
}
