/** Begins the page. */
import { render } from 'preact';
import './styles/base.css';
import './styles/shell.css';
import './live/live.css';
import 'uplot/dist/uPlot.min.css';
import { Shell } from './shell.tsx';
import { applyTheme } from './state/theme.ts';

applyTheme();
const place = document.getElementById('app');
if (place !== null) render(<Shell />, place);
