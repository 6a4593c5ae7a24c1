/** An answer's receipt: the main figures in one line, all of them when it is opened. */
import { type Receipt, receiptRows, receiptSummary } from './receipt.ts';

export function ReceiptView({ receipt }: { readonly receipt: Receipt }) {
  const rows = receiptRows(receipt);
  if (rows.length === 0) return null;
  return (
    <details class="receipt">
      <summary>{receiptSummary(receipt)}</summary>
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
