# A web page: TypeScript, a bundler whose packages have install scripts, and the test runner of Node itself.
needs="node npm"
prepare() {
    mkdir -p src test
    cat >package.json <<'END'
{
  "name": "benign",
  "version": "1.0.0",
  "private": true,
  "type": "module",
  "scripts": { "build": "tsc --noEmit && vite build", "test": "node --test test/" },
  "devDependencies": { "typescript": "5.8.3", "vite": "6.3.5" },
  "allowScripts": { "esbuild": true }
}
END
    echo '{"compilerOptions":{"strict":true,"target":"es2022","module":"es2022","lib":["dom","es2022"]},"include":["src"]}' >tsconfig.json
    echo '<!doctype html><title>benign</title><script type="module" src="/src/main.ts"></script>' >index.html
    echo 'const words: string[] = ["built", "and", "watched"]; document.title = words.join(" ");' >src/main.ts
    cat >test/sum.test.js <<'END'
import test from "node:test";
import assert from "node:assert";
test("numbers add up", () => assert.equal(1 + 1, 2));
END
    printf 'node_modules\ndist\n' >.gitignore
}
build() {
    npm install --no-fund --no-audit --no-update-notifier
    npm run build
    npm test
}
