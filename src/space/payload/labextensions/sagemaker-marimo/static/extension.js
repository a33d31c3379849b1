/**
 * marimo's entries in the context menu of JupyterLab's file browser, or a tile in its launcher that says why marimo cannot
 * run in this image (unsuitable_image.py). This is a prebuilt extension (JupyterLab's
 * documentation, "Develop Extensions" and "Common Extension Points"), written by hand, so that a space needs neither a
 * build nor an installation.
 *
 * It uses a private interface, tested in file-browser.test.ts: the code that a bundler would write around the plugin.
 * JupyterLab 4.5.10 (its bootstrap.js and index.js) looks in `window._JUPYTERLAB`, under the package's name, for a
 * webpack module federation container. It passes the shared packages, by name and version, to the container's `init`,
 * and gets the plugin from the module that package.json names.
 */
(() => {
  const NAME = "sagemaker-marimo";
  /** What the server does with a file (file_browser.py), by the entry's action. */
  const ENTRIES = [
    { action: "open", label: "Open in marimo", files: /\.(py|md|qmd)$/ },
    { action: "app", label: "Open as app", files: /\.(py|md|qmd)$/ },
    { action: "job", label: "Run as a job…", files: /\.py$/ },
    { action: "convert", label: "Convert to marimo", files: /\.ipynb$/ },
  ];
  // Files on drives of other extensions are not in the space's folders. RTC is the drive of jupyter-collaboration.
  const DRIVES = ["", "RTC"];

  let packages;
  /** JupyterLab's own copy of a package: tokens of another copy would not match. */
  const shared = async (name) => (await Object.values(packages[name])[0].get())();

  async function activate(app, files) {
    const { ServerConnection } = await shared("@jupyterlab/services");
    const { showErrorMessage } = await shared("@jupyterlab/apputils");
    const { contents, serverSettings } = app.serviceManager;

    /** The selected file, if exactly one is selected, and the entry is for such files. */
    const selected = (entry) => {
      const [item, ...others] = files.tracker.currentWidget?.selectedItems() ?? [];
      const isFile = item !== undefined && others.length === 0 && item.type !== "directory";
      return isFile && entry.files.test(item.path) && DRIVES.includes(contents.driveName(item.path))
        ? contents.localPath(item.path)
        : undefined;
    };
    const addressOf = async (action, path) => {
      const request = { method: "POST", body: JSON.stringify({ path }) };
      const url = `${serverSettings.baseUrl}${NAME}/${action}`;
      const response = await ServerConnection.makeRequest(url, request, serverSettings);
      if (!response.ok) throw await ServerConnection.ResponseError.create(response);
      return serverSettings.baseUrl + (await response.json()).path;
    };

    async function execute(entry) {
      const path = selected(entry);
      if (path === undefined) return;
      // Opened before the request, while the browser still treats it as the user's action.
      const tab = window.open("about:blank", "_blank");
      try {
        const address = await addressOf(entry.action, path);
        if (tab === null) throw new Error(`The browser blocked the new tab. Open this address: ${address}`);
        tab.opener = null;
        tab.location.replace(address);
      } catch (error) {
        tab?.close();
        await showErrorMessage("marimo", error);
      }
    }

    for (const entry of ENTRIES) {
      const command = `${NAME}:${entry.action}`;
      app.commands.addCommand(command, {
        label: entry.label,
        isVisible: () => selected(entry) !== undefined,
        execute: () => execute(entry),
      });
      app.contextMenu.addItem({
        command,
        selector: '.jp-DirListing-item[data-isdir="false"]',
        rank: 1.5,
      });
    }
  }

  /** A tile like the one that jupyter-server-proxy would show. */
  async function explain(app, launcher, reason) {
    const { Dialog, showDialog } = await shared("@jupyterlab/apputils");
    const command = `${NAME}:explain`;
    app.commands.addCommand(command, {
      label: "marimo",
      caption: reason,
      execute: () =>
        showDialog({ title: "marimo is not available", body: reason, buttons: [Dialog.okButton()] }),
    });
    launcher.add({ command, category: "Notebook" });
  }

  async function plugin() {
    const { PageConfig } = await shared("@jupyterlab/coreutils");
    const reason = PageConfig.getOption("sagemakerMarimoProblem");
    if (reason !== "") {
      const { ILauncher } = await shared("@jupyterlab/launcher");
      const activate = (app, launcher) => explain(app, launcher, reason);
      return { id: `${NAME}:explanation`, autoStart: true, requires: [ILauncher], activate };
    }
    const { IFileBrowserFactory } = await shared("@jupyterlab/filebrowser");
    return { id: `${NAME}:file-browser`, autoStart: true, requires: [IFileBrowserFactory], activate };
  }

  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB[NAME] = {
    init(scope) {
      packages = scope;
    },
    async get() {
      const module = { __esModule: true, default: await plugin() };
      return () => module;
    },
  };
})();
