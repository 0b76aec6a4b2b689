// Where in a JSON text a value stands, by the path that the API's complaints use: "$.rules[3].ip".
'use strict';

/// {value} or {error, line}: the text parsed, with `at(path)` giving the line (from 1) of a value, or of the nearest one around it.
function parseWithPlaces(text) {
  const lines = new Map();
  let i = 0, line = 1;
  const fail = (what) => { throw {what, line}; };
  const space = () => {
    while (i < text.length && ' \t\r\n'.includes(text[i])) if (text[i++] === '\n') ++line;
  };
  const string = () => {
    const begin = i++;
    while (i < text.length && text[i] !== '"') {
      if (text[i] === '\n') fail('a string that does not end');
      i += text[i] === '\\' ? 2 : 1;
    }
    if (i >= text.length) fail('a string that does not end');
    ++i;
    try { return JSON.parse(text.slice(begin, i)); } catch { fail('a string with a wrong escape'); }
  };
  const value = (path) => {
    space();
    lines.set(path, line);
    if (i >= text.length) fail('a value is missing');
    if (text[i] === '"') return string();
    if (text[i] === '[') {
      const list = [];
      ++i; space();
      if (text[i] === ']') { ++i; return list; }
      for (;;) {
        list.push(value(`${path}[${list.length}]`));
        space();
        if (text[i] === ']') { ++i; return list; }
        if (text[i++] !== ',') { --i; fail('expected "," or "]"'); }
      }
    }
    if (text[i] === '{') {
      const object = {};
      ++i; space();
      if (text[i] === '}') { ++i; return object; }
      for (;;) {
        space();
        if (text[i] !== '"') fail('expected a name in quotes');
        const name = string();
        space();
        if (text[i] !== ':') fail('expected ":"');
        ++i;
        object[name] = value(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? `${path}.${name}` : `${path}['${name}']`);
        space();
        if (text[i] === '}') { ++i; return object; }
        if (text[i++] !== ',') { --i; fail('expected "," or "}"'); }
      }
    }
    const word = /^(true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)/.exec(text.slice(i, i + 40));
    if (!word) fail('expected a value');
    i += word[0].length;
    return JSON.parse(word[0]);
  };
  try {
    const parsed = value('$');
    space();
    if (i < text.length) fail('something stands behind the end');
    return {
      value: parsed,
      at(path) {
        for (let p = path; p; p = p.replace(/(\.[^.[\]]*|\[[^[\]]*\])$/, '')) if (lines.has(p)) return lines.get(p);
        return 1;
      },
    };
  } catch (e) {
    if (e.what === undefined) throw e;
    return {error: e.what, line: e.line};
  }
}
