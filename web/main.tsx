/** Begins the page. */
import { render } from 'preact';
// All style sheets but Admin's, which is loaded with that view (`loadStyles`). The bundler puts what is imported here into one file.
import './styles/base.css';
import './styles/shell.css';
import './live/live.css';
import './live/receipt.css';
import 'uplot/dist/uPlot.min.css';
import './styles/chat.css';
import './styles/transcript.css';
import './styles/markdown.css';
import { Shell } from './shell.tsx';
import { applyTheme } from './state/theme.ts';

applyTheme();
const place = document.getElementById('app');
if (place !== null) render(<Shell />, place);
