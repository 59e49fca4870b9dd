// Frames of a movie with what was found in them. Its data are in the element: see FrameData in frame_data.py.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const TRAIL_FRAMES = 20, PLAY_MS = 300, MARKER = 0.95; // the last in periods

  const make = (name, attributes, parent) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent?.append(element);
    return element;
  };

  // The outline of a marker around (x, y): its corners are given in units of its size.
  const marker = (corners, x, y, size) =>
    corners.map(part => "M" + part.map(([u, v]) => `${(x + u * size).toFixed(1)} ${(y - v * size).toFixed(1)}`).join("L")).join("");

  function start(root) {
    root.dataset.ready = "";
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const [height, width] = data.shape, size = MARKER * data.period_px;
    const part = name => root.querySelector(`.${name}`);
    const stage = part("stage"), slider = part("slider"), play = part("play"), readout = part("readout"), overlay = part("overlay");
    const shown = { kinds: data.kinds.map(() => true), truth: false, tracks: data.tracked, heat: false };
    let current = 0, timer = null, chosen = -1;

    const trails = new Map();
    data.frames.forEach((frame, index) => {
      for (const [y, x, , , track] of [...frame.points, ...frame.holes]) {
        if (track < 0) continue;
        if (!trails.has(track)) trails.set(track, []);
        trails.get(track).push([index, x + 0.5, y + 0.5]);
      }
    });

    // Each line lies on a wider one, so that it is seen on dark and on bright.
    const line = (d, colour, name, ground = "#000000") => {
      if (!d) return;
      make("path", { d, class: `${name} ground`, stroke: ground }, overlay);
      make("path", { d, class: name, stroke: colour }, overlay);
    };

    function draw() {
      const frame = data.frames[current];
      part("frame").src = frame.picture;
      part("frame").alt = `Frame ${frame.number} of ${data.name}`;
      part("heat").src = frame.heat;
      part("heat").hidden = !shown.heat;
      overlay.replaceChildren();
      if (shown.tracks) {
        let d = "";
        for (const steps of trails.values()) {
          const last = steps.filter(([index]) => index <= current && index > current - TRAIL_FRAMES);
          if (last.length > 1 && last.at(-1)[0] === current) d += "M" + last.map(([, x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        }
        line(d, "#ffffff", "trail");
      }
      data.styles.forEach((style, kind) => {
        if (!shown.kinds[kind]) return;
        const points = frame.points.filter(point => point[2] === kind);
        const holes = frame.holes.filter(hole => hole[2] === kind);
        line(points.map(([y, x]) => marker(style.corners, x + 0.5, y + 0.5, size)).join(""), style.colour, "mark", style.ground);
        line(holes.map(hole => hole[6]).join(""), style.colour, "mark", style.ground);
      });
      if (shown.truth) {
        const rings = frame.truth.map(([y, x, , outline]) => outline ?? marker(data.ring, x + 0.5, y + 0.5, 1.5 * size));
        line(rings.join(""), "#ffffff", "truth");
      }
      if (data.bar) {
        const left = 0.04 * width, bottom = height - 0.05 * height, right = left + data.bar.px;
        line(`M${left} ${bottom}L${right} ${bottom}`, "#ffffff", "bar");
        const text = make("text", { x: (left + right) / 2, y: bottom - 0.022 * width, "font-size": 0.036 * width }, overlay);
        text.textContent = data.bar.text;
      }
      const time = frame.t === null ? "" : ` · ${Number(frame.t.toPrecision(4))} s`;
      part("where").textContent = `frame ${frame.number}${time}`;
      slider.value = current;
      slider.setAttribute("aria-valuetext", `frame ${frame.number}${time}`);
      mark();
    }

    const things = () => {
      const frame = data.frames[current];
      return [...frame.points, ...frame.holes].filter(thing => shown.kinds[thing[2]]);
    };

    const place = (y, x) => {
      const nm = data.pixel_nm;
      return nm ? `y ${(y * nm).toFixed(2)} nm, x ${(x * nm).toFixed(2)} nm` : `y ${y.toFixed(1)} px, x ${x.toFixed(1)} px`;
    };

    const tell = ([y, x, kind, probability, track, followed]) =>
      `${data.kinds[kind]}, probability ${probability.toFixed(2)}, at ${place(y, x)}` +
      (track < 0 ? "" : `, track ${track}`) + (followed ? "; missed by the network here, known by its history" : "");

    // Ring what is chosen and tell of it.
    function mark() {
      overlay.querySelectorAll(".chosen").forEach(old => old.remove());
      const thing = things()[chosen];
      if (!thing) return;
      line(marker(data.ring, thing[1] + 0.5, thing[0] + 0.5, 2 * size), "#ffffff", "chosen");
      readout.textContent = tell(thing);
    }

    function go(index) {
      current = Math.min(Math.max(index, 0), data.frames.length - 1);
      chosen = -1;
      readout.textContent = data.hint;
      draw();
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
    }

    function toggle() {
      if (timer) return stop();
      play.textContent = "Stop";
      timer = setInterval(() => go((current + 1) % data.frames.length), PLAY_MS);
    }

    function look(event) {
      const box = overlay.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * width - 0.5, y = ((event.clientY - box.top) / box.height) * height - 0.5;
      let nearest = 1.2 * data.period_px;
      chosen = -1;
      things().forEach((thing, index) => {
        const distance = Math.hypot(thing[0] - y, thing[1] - x);
        if (distance < nearest) [nearest, chosen] = [distance, index];
        if (thing[6] && chosen < 0) {
          const inside = make("path", { d: thing[6] }, overlay);
          if (inside.isPointInFill(new DOMPoint(x + 0.5, y + 0.5))) chosen = index;
          inside.remove();
        }
      });
      mark();
      if (chosen < 0) readout.textContent = `nothing found at ${place(y, x)}`;
    }

    function step(by) {
      const count = things().length;
      if (count) chosen = chosen < 0 ? (by > 0 ? 0 : count - 1) : (chosen + by + count) % count;
      mark();
    }

    // A box to tick for each kind, with its marker, and for the rest.
    function box(text, checked, change, style) {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "checkbox", checked });
      input.addEventListener("change", () => { change(input.checked); chosen = -1; draw(); });
      label.append(input);
      if (style) {
        const swatch = make("svg", { viewBox: "-8 -8 16 16", class: "swatch", "aria-hidden": "true" }, label);
        const d = marker(style.corners, 0, 0, 11);
        make("path", { d, class: "ground", stroke: style.ground }, swatch);
        make("path", { d, stroke: style.colour }, swatch);
      }
      label.append(text);
      part("boxes").append(label);
    }

    data.kinds.forEach((name, kind) => box(name, true, on => (shown.kinds[kind] = on), data.styles[kind]));
    if (data.classes.length) box("truth (dashed)", shown.truth, on => (shown.truth = on));
    if (data.tracked) box("tracks", shown.tracks, on => (shown.tracks = on));
    box("probability", shown.heat, on => (shown.heat = on));
    box("enlarged", false, on => stage.classList.toggle("large", on));

    slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
    play.addEventListener("click", toggle);
    stage.addEventListener("pointermove", event => { if (event.pointerType === "mouse") look(event); });
    stage.addEventListener("click", look);
    const keys = { ArrowLeft: () => go(current - 1), ArrowRight: () => go(current + 1), ArrowUp: () => step(-1), ArrowDown: () => step(1), " ": toggle };
    stage.addEventListener("keydown", event => {
      if (!keys[event.key]) return;
      event.preventDefault();
      if (event.key !== " ") stop();
      keys[event.key]();
    });
    part("drive").hidden = data.frames.length < 2;
    go(0);
  }

  document.querySelectorAll(".frame-viewer:not([data-ready])").forEach(start);
})();
