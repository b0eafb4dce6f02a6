'use strict';
// Draws every chart from the JSON beside it; `ast` has Vega compute without making code of texts.
for (const block of document.querySelectorAll('script.spec')) {
  const place = block.previousElementSibling;
  vegaEmbed(place, JSON.parse(block.textContent), {
    actions: false,
    ast: true,
    mode: 'vega-lite',
    renderer: 'svg',
  }).catch((error) => {
    place.classList.add('failed');
    place.textContent = 'This chart could not be drawn; its numbers are below.';
    console.error(error);
  });
}
