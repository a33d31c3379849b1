/**
 * "Open in marimo" in the context menu of JupyterLab's file browser: a prebuilt extension (JupyterLab's documentation,
 * "Develop Extensions" and "Common Extension Points"), written by hand, so that a space needs neither a build nor an
 * installation.
 *
 * Beyond documented interfaces, with a test in space-file-browser.test.ts: what a bundler would write around the plugin.
 * JupyterLab 4.5.10 (its bootstrap.js and index.js) looks for a module federation container of webpack's in
 * `window._JUPYTERLAB`, under the package's name; gives its `init` the packages that it shares, by name and version; and
 * gets the plugin from the module that package.json names.
 */
(() => {
  const NAME = "sagemaker-marimo";
  const COMMAND = `${NAME}:open`;
  const NOTEBOOK = /\.(py|md|qmd)$/;
  // Contents of a drive of another extension are not in the space's folders. RTC is jupyter-collaboration's.
  const DRIVES = ["", "RTC"];

  let packages;
  /** JupyterLab's own copy: a token of another one would name nothing. */
  const shared = async (name) => (await Object.values(packages[name])[0].get())();

  async function activate(app, files) {
    const { ServerConnection } = await shared("@jupyterlab/services");
    const { showErrorMessage } = await shared("@jupyterlab/apputils");
    const { contents, serverSettings } = app.serviceManager;

    /** The one file that is selected, if it may be a notebook. */
    const selected = () => {
      const [item, ...others] = files.tracker.currentWidget?.selectedItems() ?? [];
      const isFile = item !== undefined && others.length === 0 && item.type !== "directory";
      return isFile && NOTEBOOK.test(item.path) && DRIVES.includes(contents.driveName(item.path))
        ? contents.localPath(item.path)
        : undefined;
    };
    const addressOf = async (path) => {
      const request = { method: "POST", body: JSON.stringify({ path }) };
      const url = `${serverSettings.baseUrl}${NAME}/open`;
      const response = await ServerConnection.makeRequest(url, request, serverSettings);
      if (!response.ok) throw await ServerConnection.ResponseError.create(response);
      return serverSettings.baseUrl + (await response.json()).path;
    };

    app.commands.addCommand(COMMAND, {
      label: "Open in marimo",
      isVisible: () => selected() !== undefined,
      execute: async () => {
        const path = selected();
        if (path === undefined) return;
        // At once, while the browser still counts it as the person's doing.
        const tab = window.open("about:blank", "_blank");
        try {
          const address = await addressOf(path);
          if (tab === null) throw new Error(`The browser kept the tab from opening. Its address: ${address}`);
          tab.opener = null;
          tab.location.replace(address);
        } catch (error) {
          tab?.close();
          await showErrorMessage("marimo", error);
        }
      },
    });
    app.contextMenu.addItem({
      command: COMMAND,
      selector: '.jp-DirListing-item[data-isdir="false"]',
      rank: 1.5,
    });
  }

  async function plugin() {
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
